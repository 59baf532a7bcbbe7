"""The chain machine's configuration: one TOML file, read once into frozen records.

Times in milliseconds, sizes in bytes; paths relative to the home folder. Unknown keys are refused.
"""

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from consortium.errors import ConfigError

ENGINE_EMBEDDED: Final = "embedded"
ENGINE_COMETBFT: Final = "cometbft"
CONFIG_NAME: Final = "chain.toml"
GENESIS_NAME: Final = "genesis.cbor"
VALIDATOR_KEY_NAME: Final = "validator_key.pem"
VALIDATOR_STATE_NAME: Final = "validator_state.cbor"
CERTIFICATE_NAME: Final = "tls_certificate.pem"
TLS_KEY_NAME: Final = "tls_key.pem"
OPERATOR_SOCKET_NAME: Final = "operator.sock"
PAGES_SOCKET_NAME: Final = "pages.sock"
LOCK_NAME: Final = "lock"
PARTY_ID_NAME: Final = "party_id"  # of a party whose key is not the one of genesis
PAIR_LOCK_NAME: Final = "pair.lock"
READ_MODEL_NAME: Final = "read_model.sqlite"
UNIX_PATH_BYTES_MAX: Final = 107  # Linux, sun_path


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyConfig:
    """Whose machine this is. `key`: file of the party's signing key."""

    name: str
    key: str = "party_key.pem"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """Where gateways and other parties reach this machine, and how much it holds for them."""

    listen: str = "127.0.0.1:7411"
    waiting_max: int = 10_000  # transactions that may wait for a block; 1 to 1,000,000
    sessions_max: int = 200  # gossip sessions at a time; 1 to 10,000
    metrics: str = ""  # host:port where Prometheus may ask; "": nowhere


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchoringConfig:
    """How this machine puts heads and statements on the chain."""

    interval_ms: int = 500  # 10 to 3,600,000
    batch_max: int = 256  # heads or statements in one transaction; 1 to 512


@dataclass(frozen=True, slots=True, kw_only=True)
class CometConfig:
    """The CometBFT node beside this machine, where there is one. Addresses are host:port.

    `listen`: where the other validators reach it; `external`: what they dial, if that differs;
    `peers`: `id@host:port` of the others, separated by commas; `keep_blocks`: how many blocks stay
    on this disk, 0: all; `metrics`: where its own Prometheus numbers are served, "": nowhere.
    """

    listen: str = "127.0.0.1:26656"
    external: str = ""
    peers: str = ""
    keep_blocks: int = 0  # 0, or 1,000 to 1,000,000,000
    metrics: str = ""
    log_level: str = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainConfig:
    """All of it, with the folder that it stands in."""

    home: Path
    party: PartyConfig
    server: ServerConfig = ServerConfig()
    anchoring: AnchoringConfig = AnchoringConfig()
    comet: CometConfig = CometConfig()
    has_comet: bool = False  # the file has a section [comet]: this folder is of that engine

    @property
    def operator_socket(self) -> Path:
        """The operator endpoint's socket."""
        return self.home / OPERATOR_SOCKET_NAME

    @property
    def pages_socket(self) -> Path:
        """Where a portal asks."""
        return self.home / PAGES_SOCKET_NAME


_RANGES: Final = {
    "waiting_max": (1, 1_000_000),
    "sessions_max": (1, 10_000),
    "interval_ms": (10, 3_600_000),
    "batch_max": (1, 512),
    "keep_blocks": (0, 1_000_000_000),
}
_SECTIONS: Final[dict[str, type]] = {
    "party": PartyConfig,
    "server": ServerConfig,
    "anchoring": AnchoringConfig,
    "comet": CometConfig,
}

TEMPLATE: Final = """\
# A chain machine of Wharfinger. Times in milliseconds; paths relative to this folder.

[party]
name = {name}
key = "party_key.pem"        # the party's signing key, mode 0600

[server]
listen = "{listen}"   # where gateways and other parties connect (TLS)
waiting_max = 10000          # transactions that may wait for a block
sessions_max = 200           # gossip sessions at a time
metrics = ""                 # host:port where Prometheus may ask, e.g. "127.0.0.1:9411"

[anchoring]
interval_ms = 500            # how often heads and statements are put on the chain
batch_max = 256              # how many in one transaction
"""

COMET_TEMPLATE: Final = """
[comet]
listen = "{listen}"   # where the other validators reach this one
external = "{external}"       # what they dial, where that is another address
peers = "{peers}"      # id@host:port of the others, separated by commas
keep_blocks = 0              # 0: all; else how many stay on this disk
metrics = ""                 # host:port of the node's own Prometheus numbers
"""


def read_config(home: Path) -> ChainConfig:
    """The configuration in a home folder; raises ConfigError naming file, line and mend."""
    path = home / CONFIG_NAME
    try:
        text = path.read_text(encoding="utf-8")
        tables = tomllib.loads(text)
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: not there; `wharf chain init` makes it") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    unknown = [name for name in tables if name not in _SECTIONS]
    if unknown:
        raise ConfigError(f"{path}:{_line(text, unknown[0])}: unknown section [{unknown[0]}]")
    records = {
        name: _record(path, text, (name, section), tables.get(name, {}))
        for name, section in _SECTIONS.items()
    }
    return ChainConfig(home=home, has_comet="comet" in tables, **records)


def _record(path: Path, text: str, section: tuple[str, type], table: Any) -> Any:
    name, kind = section
    known = {item.name: item.type for item in fields(kind)}
    if not isinstance(table, dict):
        raise ConfigError(f"{path}:{_line(text, name)}: [{name}] is not a section")
    for key, value in table.items():
        place = f"{path}:{_line(text, key)}"
        if key not in known:
            raise ConfigError(
                f"{place}: unknown key {key!r} in [{name}]; known: {', '.join(known)}"
            )
        if type(value) is not known[key]:
            raise ConfigError(
                f"{place}: {key} is not of type {getattr(known[key], '__name__', known[key])}"
            )
        low, high = _RANGES.get(key, (None, None))
        if low is not None and high is not None and not low <= value <= high:
            raise ConfigError(f"{place}: {key} = {value} is not {low} to {high}")
    if "name" in known and "name" not in table:
        raise ConfigError(f'{path}: [{name}] has no name; add name = "your company"')
    return kind(**table)


def _line(text: str, key: str) -> int:
    """The first line that gives this key or opens this section; 0 where none is found."""
    for number, line in enumerate(text.splitlines(), 1):
        word = line.split("#")[0].split("=")[0].strip().strip("[]").strip()
        if word.split(".")[0].strip("\"'") == key:
            return number
    return 0
