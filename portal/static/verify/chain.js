// The chain's part of a bundle: docs/formats/chain.md, "The chain's part of a bundle".

import { compare, hex, join, miss, refute, same, sha256, utf8 } from "./bytes.js";
import { decode, encode, isBytes, isInt, isList, isText } from "./cbor.js";
import { checkVote, publicKey } from "./keys.js";
import { checkInclusion, leafHash, nodeHash, treeRoot } from "./merkle.js";

const PART_BYTES_MAX = 64 << 20;
const CHANGES_MAX = 10_000;
const VALIDATORS_MAX = 1_000;
const POWER_MAX = 1n << 50n;
const INT63 = (1n << 63n) - 1n;
const UINT32 = (1n << 32n) - 1n;
const INT31 = (1n << 31n) - 1n;
const APP_VERSION = 1;
const BLOCK_VERSION = 11;
const PRECOMMIT = 2n;
const NO_BLOCK = { hash: new Uint8Array(), total: 0, parts: new Uint8Array() };

// Forms -------------------------------------------------------------------------------------

export function fields(value, what, ...checks) {
  if (!isList(value) || value.length !== checks.length) refute(`${what}: not ${checks.length} elements`);
  checks.forEach((check, at) => check(value[at]) || refute(`${what}: element ${at} is of a wrong type`));
  return value;
}

export const isSized = (size) => (value) => isBytes(value) && value.length === size;
export const isHash = isSized(32);
export const orNull = (check) => (value) => value === null || check(value);
const upTo = (limit) => (value) => isInt(value) && value >= 0 && BigInt(value) <= limit;
const isHashes = (value) => isList(value) && value.every(isHash);

function ascending(places, what) {
  for (let at = 1; at < places.length; at += 1) {
    if (!places[at - 1].before(places[at])) refute(`chain part: ${what} not ascending, or one twice`);
  }
}

async function genesisOf(data) {
  const isPositive = (value) => isInt(value) && value >= 1;
  const value = decode(data);
  if (!isList(value) || value[0] !== 1) refute("genesis: not version 1");
  const [, chainId, , , validators, parties] = fields(
    value, "genesis", isInt, isText, isPositive, isPositive, isList, isList,
    (settings) => isList(settings) && settings.length === 2 && settings.every(isPositive),
  );
  const idBytes = utf8(chainId).length;
  if (idBytes < 1 || idBytes > 50) refute("genesis: a chain id of a wrong length");
  const ids = new Set();
  for (const row of parties) {
    const [name, algorithm, spki, role] = fields(row, "party", isText, isInt, isBytes, isInt);
    if (role < 1 || role > 8 || !name || [...name].length > 100) refute("genesis: a party out of range");
    await publicKey(algorithm, spki);
    const tagged = sha256(utf8("wharf/party/1"), encode([name, algorithm, spki]));
    ids.add(hex(tagged.subarray(0, 16)));
  }
  if (ids.size !== parties.length) refute("genesis: a party stands in it twice");
  const set = [];
  const partyOf = new Map();
  for (const row of validators) {
    const [key, power, party] = fields(row, "validator", isBytes, isInt, isSized(16));
    set.push(validatorOf([key, power]));
    if (!ids.has(hex(party))) refute("genesis: a validator of no party");
    partyOf.set(hex(key), hex(party));
  }
  checkSet(set);
  return { chainId, set, partyOf };
}

function validatorOf(row) {
  const [key, power] = fields(row, "validator", isBytes, isInt);
  if (key.length !== 32 || power <= 0 || BigInt(power) > POWER_MAX) refute("validator: out of range");
  return { key, power: BigInt(power), address: sha256(key).subarray(0, 20) };
}

function checkSet(set) {
  if (!set.length || set.length > VALIDATORS_MAX) refute("validator set: empty, or too large");
  if (new Set(set.map((item) => hex(item.key))).size !== set.length) refute("validator set: one twice");
  for (let at = 1; at < set.length; at += 1) {
    const [a, b] = [set[at - 1], set[at]];
    const isOrdered = a.power > b.power || (a.power === b.power && compare(a.address, b.address) < 0);
    if (!isOrdered) refute("validator set: not in set order");
  }
}

function partOf(data) {
  if (data.length > PART_BYTES_MAX) refute("chain part: too large");
  const value = fields(
    decode(data), "chain part", isInt, isBytes, isList, isList, isList, isList, isList,
  );
  if (value[0] !== 1) refute(`chain part: version ${value[0]} is not known`);
  if (value[2].length > CHANGES_MAX) refute("chain part: too many changes of the validator set");
  return value;
}

function signedHeader(value) {
  const [header, commit] = fields(value, "signed header", isList, isList);
  const numbers = [upTo(INT63), upTo(INT63), upTo(INT63), upTo(INT63)];
  fields(header, "chain header", ...numbers, orNull(isList), ...Array(8).fill(isHash), isSized(20));
  const [round, total, parts, votes] = fields(
    commit, "commit", upTo(INT31), upTo(UINT32), isHash, isList,
  );
  for (const vote of votes) {
    if (vote !== null) fields(vote, "vote", upTo(INT63), isSized(64));
  }
  return { header, last: blockId(header[4]), round, total, parts, votes };
}

function blockId(value) {
  if (value === null) return NO_BLOCK;
  const [hash, total, parts] = fields(value, "block id", isHash, upTo(UINT32), isHash);
  return { hash, total, parts };
}

function logLeaf(data) {
  const isCount = (value) => isInt(value) && value >= 0;
  const [version, , , code, time, , record] = fields(
    decode(data), "log leaf", isInt, isHash, isCount, isCount, isCount, isCount, isList,
  );
  if (version !== 1 || !record.length || !isInt(record[0])) refute("log leaf: a form not known");
  return { code, timeMs: Number(time), record };
}

function mapProof(value) {
  const [siblings, other] = fields(value, "map proof", isHashes, orNull(isHashes));
  if (siblings.length > 256 || (other && other.length !== 2)) refute("map proof: of a wrong shape");
  return { siblings, other };
}

// CometBFT's bytes ---------------------------------------------------------------------------

function uvarint(value) {
  let rest = BigInt.asUintN(64, BigInt(value));
  const bytes = [];
  while (rest > 127n) {
    bytes.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  return Uint8Array.from([...bytes, Number(rest)]);
}

const NOTHING = new Uint8Array();
const tag = (field, wire) => uvarint((field << 3) | wire);
const number = (field, value) => (BigInt(value) ? join(tag(field, 0), uvarint(value)) : NOTHING);
const message = (field, bytes) => join(tag(field, 2), uvarint(bytes.length), bytes);
const data = (field, bytes) => (bytes.length ? message(field, bytes) : NOTHING);

function fixed64(field, value) {
  if (!BigInt(value)) return NOTHING;
  const bytes = new DataView(new ArrayBuffer(8));
  bytes.setBigInt64(0, BigInt(value), true);
  return join(tag(field, 1), new Uint8Array(bytes.buffer));
}

function timestamp(ns) {
  const second = 1_000_000_000n;
  return join(number(1, BigInt(ns) / second), number(2, BigInt(ns) % second));
}

function blockIdBytes({ hash, total, parts }) {
  return join(data(1, hash), message(2, join(number(1, total), data(2, parts))));
}

const cometRoot = (leaves) => treeRoot(leaves.map(leafHash));

function headerHash({ header, last }, chainId) {
  const [blockVersion, appVersion, height, time, , ...hashes] = header;
  return cometRoot([
    join(number(1, blockVersion), number(2, appVersion)),
    data(1, utf8(chainId)),
    number(1, height),
    timestamp(time),
    blockIdBytes(last),
    ...hashes.map((hash) => data(1, hash)),
  ]);
}

function setHash(set) {
  return cometRoot(set.map((item) => join(message(1, data(1, item.key)), number(2, item.power))));
}

function voteBytes(signed, chainId, hash, time) {
  const vote = join(
    number(1, PRECOMMIT),
    fixed64(2, signed.header[2]),
    fixed64(3, signed.round),
    message(4, blockIdBytes({ hash, total: signed.total, parts: signed.parts })),
    message(5, timestamp(time)),
    data(6, utf8(chainId)),
  );
  return join(uvarint(vote.length), vote);
}

async function checkCommit(signed, set, chainId) {
  const height = signed.header[2];
  if (!same(signed.header[7], setHash(set))) refute(`header ${height} is for another validator set`);
  if (signed.votes.length !== set.length) refute(`header ${height} has not one place per validator`);
  const hash = headerHash(signed, chainId);
  let power = 0n;
  let whole = 0n;
  for (const [place, validator] of set.entries()) {
    whole += validator.power;
    const vote = signed.votes[place];
    if (vote === null) continue;
    await checkVote(validator.key, voteBytes(signed, chainId, hash, vote[0]), vote[1]);
    power += validator.power;
  }
  if (3n * power <= 2n * whole) refute(`header ${height} is signed by 2/3 of the power or less`);
}

// The part -----------------------------------------------------------------------------------

// What a chain part proves: its leaves with their times, its states, and who stands behind it.
export async function checkChain(bytes, trusted) {
  const value = partOf(bytes);
  const genesis = await genesisOf(value[1]);
  const changes = value[2].map((item) => {
    const [signed, rows] = fields(item, "validator-set change", isList, isList);
    return { signed: signedHeader(signed), next: rows.map(validatorOf) };
  });
  const signed = signedHeader(value[3]);
  const [logSize, logRoot, mapRoot] = fields(value[4], "application roots", upTo(INT63), isHash, isHash);
  const leaves = value[5].map((item) => {
    const [index, leaf, path] = fields(item, "proven leaf", isInt, isBytes, isHashes);
    return { index, leaf, path, ...logLeaf(leaf) };
  });
  const states = value[6].map((item) => {
    const [key, stored, proof] = fields(item, "proven state", isBytes, orNull(isBytes), isList);
    if (!isList(decode(key)) || (stored && !isList(decode(stored)))) refute("proven state: no list");
    return { key, stored, proof: mapProof(proof) };
  });
  ascending(leaves.map(({ index }) => ({ index, before: (o) => index < o.index })), "leaves");
  ascending(states.map(({ key }) => ({ key, before: (o) => compare(key, o.key) < 0 })), "states");

  const digest = sha256(value[1]);
  if (trusted && !same(digest, trusted)) refute("the chain starts from another genesis than the trusted one");
  const set = await followed(changes, signed, genesis);
  if (signed.header[1] !== APP_VERSION || signed.header[0] !== BLOCK_VERSION) {
    miss(`application version ${signed.header[1]} is not known here`);
  }
  await checkCommit(signed, set, genesis.chainId);
  const size = new DataView(new ArrayBuffer(8));
  size.setBigUint64(0, BigInt(logSize));
  const app = sha256(utf8("wharf/app/1"), new Uint8Array(size.buffer), logRoot, mapRoot);
  if (!same(app, signed.header[10])) refute("the application's roots are not the header's");
  for (const { index, leaf, path } of leaves) checkInclusion(leafHash(leaf), index, logSize, path, logRoot);
  for (const { key, stored, proof } of states) checkState(mapRoot, key, stored, proof);
  const known = new Map(states.map(({ key, stored }) => [hex(key), stored]));
  return {
    chainId: genesis.chainId,
    genesisDigest: hex(digest),
    isTrusted: Boolean(trusted),
    validators: set.length,
    parties: partiesBehind(genesis, set, known),
    leaves,
    states: known,
  };
}

async function followed(changes, last, genesis) {
  let set = genesis.set;
  let height = 0;
  for (const { signed, next } of changes) {
    if (signed.header[2] <= height) refute("validator-set changes are not in ascending order");
    await checkCommit(signed, set, genesis.chainId);
    checkSet(next);
    const isEqual = next.length === set.length
      && next.every((item, at) => same(item.key, set[at].key) && item.power === set[at].power);
    if (isEqual) refute(`header ${signed.header[2]} does not change the validator set`);
    if (!same(signed.header[8], setHash(next))) refute(`header ${signed.header[2]} names another next set`);
    [set, height] = [next, signed.header[2]];
  }
  if (last.header[2] <= height) refute("the header is not behind the last validator-set change");
  return set;
}

function bit(path, depth) {
  return (path[depth >> 3] >> (7 - (depth & 7))) & 1;
}

const entryHash = (path, valueHash) => sha256(Uint8Array.of(0), path, valueHash);

// The value is under the key, or (null) nothing is.
function checkState(root, key, stored, { siblings, other }) {
  const path = sha256(key);
  let hash = new Uint8Array(32);
  if (stored !== null) {
    if (other) refute("a map proof of a value names another leaf");
    hash = entryHash(path, sha256(stored));
  } else if (other) {
    if (same(other[0], path)) refute("an absence proof names the key itself");
    for (let depth = 0; depth < siblings.length; depth += 1) {
      if (bit(other[0], depth) !== bit(path, depth)) refute("the other leaf does not stand in the key's way");
    }
    hash = entryHash(other[0], other[1]);
  }
  siblings.forEach((sibling, at) => {
    const isRight = bit(path, siblings.length - 1 - at);
    hash = isRight ? nodeHash(sibling, hash) : nodeHash(hash, sibling);
  });
  if (!same(hash, root)) refute("a map proof does not lead to the root");
}

function partiesBehind(genesis, set, states) {
  const partyOf = new Map(genesis.partyOf);
  const recorded = states.get(hex(encode(["validators"])));
  if (recorded) {
    const [, rows] = fields(decode(recorded), "validators state", isInt, isList);
    for (const row of rows) {
      const [key, , party] = fields(row, "validator", isBytes, isInt, isBytes);
      partyOf.set(hex(key), hex(party));
    }
  }
  const behind = set.map((item) => partyOf.get(hex(item.key)));
  return behind.includes(undefined) ? 1 : new Set(behind).size;
}
