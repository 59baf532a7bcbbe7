// Writes known answers of CometBFT's own Go types: go run . > ../cometbft.json
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/crypto/ed25519"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	sm "github.com/cometbft/cometbft/state"
	"github.com/cometbft/cometbft/types"
)

type object = map[string]any

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func key(name string) ed25519.PrivKey { return ed25519.GenPrivKeyFromSecret([]byte(name)) }

// Seconds since 1970 and nanoseconds: Go's own UnixNano overflows for its zero time.
func when(t time.Time) string {
	return fmt.Sprintf("%d+%d", t.Unix(), t.Nanosecond())
}

func blockID(id types.BlockID) object {
	return object{"hash": hex.EncodeToString(id.Hash), "total": id.PartSetHeader.Total,
		"parts_hash": hex.EncodeToString(id.PartSetHeader.Hash)}
}

func header(h types.Header) object {
	return object{"version_block": h.Version.Block, "version_app": h.Version.App, "chain_id": h.ChainID,
		"height": h.Height, "time": when(h.Time), "last_block_id": blockID(h.LastBlockID),
		"last_commit_hash": h.LastCommitHash.String(), "data_hash": h.DataHash.String(),
		"validators_hash": h.ValidatorsHash.String(), "next_validators_hash": h.NextValidatorsHash.String(),
		"consensus_hash": h.ConsensusHash.String(), "app_hash": h.AppHash.String(),
		"last_results_hash": h.LastResultsHash.String(), "evidence_hash": h.EvidenceHash.String(),
		"proposer_address": h.ProposerAddress.String(), "hash": h.Hash().String()}
}

func commit(c *types.Commit) object {
	sigs := []object{}
	for _, s := range c.Signatures {
		sigs = append(sigs, object{"flag": s.BlockIDFlag, "address": s.ValidatorAddress.String(),
			"time": when(s.Timestamp), "signature": hex.EncodeToString(s.Signature)})
	}
	return object{"height": c.Height, "round": c.Round, "block_id": blockID(c.BlockID),
		"signatures": sigs, "hash": c.Hash().String()}
}

func validators(set *types.ValidatorSet) object {
	rows := []object{}
	for _, v := range set.Validators {
		rows = append(rows, object{"key": hex.EncodeToString(v.PubKey.Bytes()), "power": v.VotingPower,
			"address": v.Address.String()})
	}
	return object{"rows": rows, "hash": hex.EncodeToString(set.Hash())}
}

// One vote of each validator: kind 2 for the block, 3 for nil, 1 absent.
func vote(set *types.ValidatorSet, keys map[string]ed25519.PrivKey, chainID string, height int64,
	round int32, id types.BlockID, at time.Time, kinds []types.BlockIDFlag) *types.Commit {
	sigs := []types.CommitSig{}
	for i, v := range set.Validators {
		if kinds[i] == types.BlockIDFlagAbsent {
			sigs = append(sigs, types.NewCommitSigAbsent())
			continue
		}
		voted := id
		if kinds[i] == types.BlockIDFlagNil {
			voted = types.BlockID{}
		}
		stamp := at.Add(time.Duration(i) * 7 * time.Millisecond)
		pb := cmtproto.Vote{Type: cmtproto.PrecommitType, Height: height, Round: round,
			BlockID: voted.ToProto(), Timestamp: stamp}
		signature := must(keys[v.Address.String()].Sign(types.VoteSignBytes(chainID, &pb)))
		sigs = append(sigs, types.CommitSig{BlockIDFlag: kinds[i], ValidatorAddress: v.Address,
			Timestamp: stamp, Signature: signature})
	}
	return &types.Commit{Height: height, Round: round, BlockID: id, Signatures: sigs}
}

// One leaf of the application's log, and one entry of its map, in the application's own encoding.
const (
	logLeaf  = "87015820000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f00001b0000019b76dacf11028804504646464646464646464646464646464600071903e8582072727272727272727272727272727272727272727272727272727272727272725820626262626262626262626262626262626262626262626262626262626262626258206464646464646464646464646464646464646464646464646464646464646464"
	mapKey   = "836466656564504646464646464646464646464646464600"
	mapValue = "8701071903e85820727272727272727272727272727272727272727272727272727272727272727258206262626262626262626262626262626262626262626262626262626262626262582064646464646464646464646464646464646464646464646464646464646464641b0000019b76dacf11"
)

func sum(parts ...[]byte) []byte {
	h := sha256.New()
	for _, part := range parts {
		h.Write(part)
	}
	return h.Sum(nil)
}

func raw(text string) []byte { return must(hex.DecodeString(text)) }

// The application's hash once both are in: roots of trees with one member are their hashes.
func appHash() []byte {
	leaf := sum([]byte{0}, raw(logLeaf))
	entry := sum([]byte{0}, sum(raw(mapKey)), sum(raw(mapValue)))
	return sum([]byte("wharf/app/1"), []byte{0, 0, 0, 0, 0, 0, 0, 1}, leaf, entry)
}

func chain(chainID string, secrets []string, powers []int64, joiner string) []object {
	keys := map[string]ed25519.PrivKey{}
	gen := &types.GenesisDoc{ChainID: chainID, GenesisTime: time.Unix(1767225600, 120_000_000).UTC(),
		ConsensusParams: types.DefaultConsensusParams(), InitialHeight: 1}
	gen.ConsensusParams.Version.App = 1
	for i, secret := range secrets {
		k := key(secret)
		keys[k.PubKey().Address().String()] = k
		gen.Validators = append(gen.Validators, types.GenesisValidator{PubKey: k.PubKey(), Power: powers[i]})
	}
	state := must(sm.MakeGenesisState(gen))
	state.Version.Consensus.App = 1
	state.LastResultsHash = types.NewResults(nil).Hash()
	first := sha256.Sum256([]byte("app state 0"))
	state.AppHash = first[:]
	last := &types.Commit{}
	blocks := []object{}
	for height := int64(1); height <= 6; height++ {
		txs := []types.Tx{}
		results := []*abci.ExecTxResult{}
		if height%2 == 0 {
			txs = append(txs, []byte(fmt.Sprintf("tx a of %d", height)), make([]byte, 70_000*int(height/4)))
			results = append(results, &abci.ExecTxResult{Code: 0, Data: []byte{0x81, 0x00}, Log: "not hashed"},
				&abci.ExecTxResult{Code: 17, GasWanted: height & 2, GasUsed: height & 2})
		}
		block := must(state.MakeBlock(height, txs, last, nil, state.Validators.Proposer.Address))
		parts := must(block.MakePartSet(types.BlockPartSizeBytes))
		id := types.BlockID{Hash: block.Hash(), PartSetHeader: parts.Header()}
		kinds := []types.BlockIDFlag{}
		for i := range state.Validators.Validators {
			kind := types.BlockIDFlagCommit
			if len(secrets) > 3 && i == 2 && height%2 == 1 {
				kind = types.BlockIDFlagAbsent
			}
			if len(secrets) > 3 && i == 2 && height%4 == 0 {
				kind = types.BlockIDFlagNil
			}
			kinds = append(kinds, kind)
		}
		at := time.Unix(1767225600+height*10, (height%3)*1_000_001).UTC()
		round := int32(height % 2)
		last = vote(state.Validators, keys, chainID, height, round, id, at, kinds)
		if err := state.Validators.VerifyCommit(chainID, id, height, last); err != nil {
			panic(err)
		}
		shown := []string{}
		for _, tx := range txs {
			if len(tx) > 64 { // the long ones are all zero
				shown = append(shown, fmt.Sprintf("zeros:%d", len(tx)))
			} else {
				shown = append(shown, hex.EncodeToString(tx))
			}
		}
		encoded := must(must(block.ToProto()).Marshal())
		sum := sha256.Sum256(encoded)
		outcome := []object{}
		for _, r := range results {
			outcome = append(outcome, object{"code": r.Code, "data": hex.EncodeToString(r.Data),
				"gas_wanted": r.GasWanted, "gas_used": r.GasUsed})
		}
		blocks = append(blocks, object{"header": header(block.Header), "block_id": blockID(id), "commit": commit(last),
			"txs": shown, "block_bytes": len(encoded), "block_sha256": hex.EncodeToString(sum[:]),
			"validators": validators(state.Validators), "next_validators": validators(state.NextValidators),
			"results": outcome, "results_hash": hex.EncodeToString(types.NewResults(results).Hash())})
		next := state.NextValidators.Copy()
		if height == 2 && joiner != "" {
			k := key(joiner)
			keys[k.PubKey().Address().String()] = k
			if err := next.UpdateWithChangeSet([]*types.Validator{types.NewValidator(k.PubKey(), 15)}); err != nil {
				panic(err)
			}
		}
		next.IncrementProposerPriority(1)
		state.LastBlockHeight, state.LastBlockID, state.LastBlockTime = height, id, block.Time
		state.LastValidators, state.Validators, state.NextValidators = state.Validators.Copy(), state.NextValidators.Copy(), next
		if height == 2 {
			state.AppHash = appHash()
		}
		state.LastResultsHash = types.NewResults(results).Hash()
	}
	return blocks
}

func signBytes() []object {
	id := types.BlockID{Hash: make([]byte, 32), PartSetHeader: types.PartSetHeader{Total: 3, Hash: make([]byte, 32)}}
	copy(id.Hash, "block hash of thirty-two bytes..")
	copy(id.PartSetHeader.Hash, "parts hash of thirty-two bytes..")
	times := []time.Time{time.Unix(0, 0).UTC(), time.Unix(0, 1).UTC(), time.Unix(1, 0).UTC(), time.Unix(-1, 999_999_999).UTC(),
		{}, time.Unix(1767225600, 999_999_999).UTC(), time.Unix(253402300799, 0).UTC()}
	out := []object{}
	for i, at := range times {
		for _, round := range []int32{0, 1, 300} {
			pb := cmtproto.Vote{Type: cmtproto.PrecommitType, Height: int64(1) << (i * 6), Round: round, BlockID: id.ToProto(), Timestamp: at}
			chainID := "wharf-test"
			if i == 6 {
				chainID = "a-name-of-fifty-characters-the-longest-one-allowed"
			}
			out = append(out, object{"chain_id": chainID, "height": pb.Height, "round": round, "block_id": blockID(id),
				"time": when(at), "sign_bytes": hex.EncodeToString(types.VoteSignBytes(chainID, &pb))})
		}
	}
	return out
}

func sets() []object {
	out := []object{}
	for _, powers := range [][]int64{{1}, {10, 10}, {5, 100, 100}, {1, 2, 3, 4, 5, 6, 7}, {1 << 40, 128, 127, 16384}} {
		list := []*types.Validator{}
		given := []object{}
		for i, p := range powers {
			pub := key(fmt.Sprintf("set member %d", i)).PubKey()
			list = append(list, types.NewValidator(pub, p))
			given = append(given, object{"key": hex.EncodeToString(pub.Bytes()), "power": p})
		}
		set := validators(types.NewValidatorSet(list))
		set["given"] = given
		out = append(out, set)
	}
	return out
}

func params() []object {
	out := []object{}
	for _, limits := range [][2]int64{{22020096, -1}, {4194304, -1}, {1048576, 0}, {-1, 5}} {
		p := types.DefaultConsensusParams()
		p.Block.MaxBytes, p.Block.MaxGas = limits[0], limits[1]
		out = append(out, object{"max_bytes": limits[0], "max_gas": limits[1], "hash": hex.EncodeToString(p.Hash())})
	}
	return out
}

func main() {
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(object{
		"source":         "github.com/cometbft/cometbft v0.39.4, types and state; written by tests/vectors/generate",
		"sign_bytes":     signBytes(),
		"validator_sets": sets(),
		"params":         params(),
		"app":            object{"log_leaf": logLeaf, "map_key": mapKey, "map_value": mapValue},
		"one":            chain("wharf-one", []string{"only"}, []int64{10}, ""),
		"four":           chain("wharf-four", []string{"a", "b", "c", "d"}, []int64{20, 10, 1, 20}, "e"),
	}); err != nil {
		panic(err)
	}
}
