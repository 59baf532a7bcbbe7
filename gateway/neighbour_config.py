"""Whose feeds this box carries, and to whom it hands over its own; from gateway.toml."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from consortium.enrolment import decode_enrolment
from consortium.errors import ConsortiumError
from gateway.config_table import Table
from ledger.errors import LedgerError
from ledger.signing import PublicKey

NEIGHBOURS_MAX: Final = 64
QUOTA_MB_MAX: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayConfig:
    """Where neighbours reach this box, and how much of its disk their feeds may take."""

    listen: str = ""  # host:port; "": this box carries for nobody
    quota_mb: int = 256  # 1 to 1_000_000, for each neighbour


@dataclass(frozen=True, slots=True, kw_only=True)
class NeighbourConfig:
    """A gateway that may hand over its feed here; with an address, one that takes this box's."""

    feed_id: bytes
    key: PublicKey
    name: str
    address: str
    certificate: Path | None


def parse_relay(table: Table) -> RelayConfig:
    """The table [relay]."""
    relay = RelayConfig(
        listen=table.get("listen", str, ""),
        quota_mb=table.number("quota_mb", 256, low=1, high=QUOTA_MB_MAX),
    )
    table.done()
    return relay


def parse_neighbours(rows: Sequence[Table], folder: Path) -> tuple[NeighbourConfig, ...]:
    """The tables [[neighbour]]; raises ConfigError."""
    if len(rows) > NEIGHBOURS_MAX:
        raise rows[NEIGHBOURS_MAX].error("code", f"at most {NEIGHBOURS_MAX} neighbours")
    return tuple(_neighbour(row, folder) for row in rows)


def _neighbour(table: Table, folder: Path) -> NeighbourConfig:
    text, address = table.get("code", str), table.get("address", str, "")
    certificate: str = table.get("certificate", str, "")
    table.done()
    if bool(address) != bool(certificate):
        mend = "address and certificate belong together: copy peer_certificate.pem of its data_dir"
        raise table.error("certificate", mend)
    try:
        code = decode_enrolment(text)
        key = PublicKey(code.alg, code.spki)
    except (ConsortiumError, LedgerError) as error:
        raise table.error("code", f"{error}; `wharf gateway init` prints it there") from error
    return NeighbourConfig(
        feed_id=code.feed_id,
        key=key,
        name=code.gateway_name,
        address=address,
        certificate=folder / Path(certificate).expanduser() if certificate else None,
    )
