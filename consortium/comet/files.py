"""The files that CometBFT reads, made from our own: keys, genesis.json, config.toml.

Source: CometBFT v0.39.4, `config/toml.go`, `types/genesis.go`, `privval/file.go`, `p2p/key.go`.
`genesis.json` and `config.toml` are written anew at every start, so `genesis.cbor` and `chain.toml`
are the only truth. `priv_validator_state.json` is written once, by whoever makes the key, and never
again: it is what keeps a validator from signing twice.
"""

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from consortium.comet.abci_application import genesis_app_state
from consortium.config import ChainConfig
from consortium.errors import ConfigError
from consortium.file_keys import write_private
from ledger.chain_genesis import Genesis
from ledger.comet import ADDRESS_BYTES
from ledger.hashing import sha256

NODE_FOLDER: Final = "comet"
ABCI_SOCKET_NAME: Final = "abci.sock"
RPC_SOCKET_NAME: Final = "rpc.sock"
EVIDENCE_BLOCKS: Final = 100_000
EVIDENCE_NS: Final = 14 * 24 * 3600 * 1_000_000_000  # two weeks to name an equivocator
EVIDENCE_BYTES_MAX: Final = 1 << 20
STEP_PRECOMMIT: Final = 3
ROUND_MAX: Final = (1 << 31) - 1  # a guard holds for every round of its height

CONFIG: Final = """\
# Written by `wharf chain run` from chain.toml at every start: change it there.
proxy_app = "unix://{home}/abci.sock"
abci = "socket"
moniker = {name}
db_backend = "goleveldb"
log_level = "{log_level}"
log_format = "plain"

[rpc]
laddr = "unix://{home}/rpc.sock"
pprof_laddr = ""
max_request_batch_size = 500
max_body_bytes = 16777216

[p2p]
laddr = "tcp://{listen}"
external_address = "{external}"
persistent_peers = "{peers}"
unconditional_peer_ids = "{peer_ids}"
persistent_peers_max_dial_period = "2s"
addr_book_strict = false
allow_duplicate_ip = true
pex = false
flush_throttle_timeout = "10ms"

[mempool]
recheck = true
broadcast = true
size = 20000
cache_size = 40000
max_txs_bytes = 67108864
max_tx_bytes = 262144

[statesync]
enable = false

[consensus]
timeout_propose = "1s"
timeout_propose_delta = "500ms"
timeout_prevote = "500ms"
timeout_precommit = "500ms"
timeout_commit = "50ms"
peer_gossip_sleep_duration = "10ms"
create_empty_blocks = false

[tx_index]
indexer = "null"

[instrumentation]
prometheus = {prometheus}
prometheus_listen_addr = "{metrics}"
namespace = "cometbft"
"""


@dataclass(frozen=True, slots=True)
class NodeKeys:
    """What others must know of a node: its id on the network, its validator's key (32 bytes)."""

    node_id: str
    validator_key: bytes


def _raw(key: Ed25519PrivateKey) -> tuple[bytes, bytes]:
    """(public, private as Go keeps it: seed and public), raw bytes."""
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    seed = key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    return public, seed + public


def _tagged(kind: str, data: bytes) -> dict[str, str]:
    return {"type": f"tendermint/{kind}Ed25519", "value": base64.b64encode(data).decode()}


def address_hex(public: bytes) -> str:
    """A key's address in CometBFT's spelling."""
    return sha256(public)[:ADDRESS_BYTES].hex().upper()


def make_node_keys(home: Path) -> NodeKeys:
    """Writes new node and validator keys; raises ConfigError where there are any."""
    config, data = home / NODE_FOLDER / "config", home / NODE_FOLDER / "data"
    for folder in (home / NODE_FOLDER, config, data):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if (config / "priv_validator_key.json").exists():
        raise ConfigError(f"{config}: a validator key is there already; move the folder away")
    node_key = Ed25519PrivateKey.generate()
    _write(config / "node_key.json", {"priv_key": _tagged("PrivKey", _raw(node_key)[1])})
    write_validator_key(home, Ed25519PrivateKey.generate(), above_height=0)
    return read_node_keys(home)


def write_validator_key(home: Path, key: Ed25519PrivateKey, *, above_height: int) -> None:
    """Writes a validator key that signs nothing up to `above_height`."""
    public, private = _raw(key)
    folder = home / NODE_FOLDER
    guard = {"height": "0", "round": 0, "step": 0}
    if above_height:
        guard = {"height": str(above_height), "round": ROUND_MAX, "step": STEP_PRECOMMIT}
    _write(folder / "data" / "priv_validator_state.json", guard)
    row = {
        "address": address_hex(public),
        "pub_key": _tagged("PubKey", public),
        "priv_key": _tagged("PrivKey", private),
    }
    _write(folder / "config" / "priv_validator_key.json", row)


def read_node_keys(home: Path) -> NodeKeys:
    """The public sides of a home folder's keys; raises ConfigError."""
    config = home / NODE_FOLDER / "config"
    try:
        node = json.loads((config / "node_key.json").read_bytes())["priv_key"]["value"]
        validator = json.loads((config / "priv_validator_key.json").read_bytes())["pub_key"][
            "value"
        ]
        node_public = base64.b64decode(node)[32:]
        return NodeKeys(sha256(node_public)[:ADDRESS_BYTES].hex(), base64.b64decode(validator))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{config}: cannot read node_key.json or the validator key: {error!r}"
        ) from error


def genesis_json(genesis: Genesis) -> bytes:
    """CometBFT's genesis file, a function of our genesis document alone."""
    time = datetime.fromtimestamp(genesis.time_ms // 1000, UTC)
    value = {
        "genesis_time": f"{time:%Y-%m-%dT%H:%M:%S}.{genesis.time_ms % 1000:03d}Z",
        "chain_id": genesis.chain_id,
        "initial_height": "1",
        "consensus_params": {
            "block": {"max_bytes": str(genesis.block_bytes_max), "max_gas": "-1"},
            "evidence": {
                "max_age_num_blocks": str(EVIDENCE_BLOCKS),
                "max_age_duration": str(EVIDENCE_NS),
                "max_bytes": str(EVIDENCE_BYTES_MAX),
            },
            "validator": {"pub_key_types": ["ed25519"]},
            "version": {"app": str(genesis.app_version)},
            "abci": {"vote_extensions_enable_height": "0"},
        },
        "validators": [
            {
                "address": address_hex(item.key),
                "pub_key": _tagged("PubKey", item.key),
                "power": str(item.power),
                "name": "",
            }
            for item in genesis.validator_set
        ],
        "app_hash": "",
        "app_state": json.loads(genesis_app_state(genesis.digest)),
    }
    return json.dumps(value, indent=1).encode()


def write_node_files(config: ChainConfig, genesis: Genesis) -> None:
    """Writes genesis.json and config.toml for a start."""
    if not (config.home / NODE_FOLDER / "data" / "priv_validator_state.json").exists():
        raise ConfigError(
            f"{config.home / NODE_FOLDER}/data/priv_validator_state.json is gone: this key may "
            "have signed what nobody remembers; `wharf chain restore` makes it safe"
        )
    comet, folder = config.comet, config.home / NODE_FOLDER / "config"
    peers = [peer.strip() for peer in comet.peers.split(",") if peer.strip()]
    text = CONFIG.format(
        home=config.home.absolute(),
        name=json.dumps(config.party.name),
        listen=comet.listen,
        external=comet.external,
        peers=",".join(peers),
        peer_ids=",".join(peer.partition("@")[0] for peer in peers),
        prometheus="true" if comet.metrics else "false",
        metrics=comet.metrics,
        log_level=comet.log_level,
    )
    write_private(folder / "config.toml", text.encode())
    write_private(folder / "genesis.json", genesis_json(genesis))


def _write(path: Path, value: Any) -> None:
    write_private(path, json.dumps(value, indent=2).encode())
