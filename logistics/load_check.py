"""Is what went through a zone the load that was expected? Pure: lists in, lists out.

Goods are the same by their GS1 identity: an SSCC on two tags is one unit, and is told as doubled.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from logistics.business_event import ZoneEvent, ZoneStep
from logistics.epc import Epc, decode_epc, encode_epc
from logistics.errors import IdentifierError, LogisticsError
from logistics.identifiers import require_check_digit

LINES_MAX: Final = 100_000
_SSCC = re.compile(r"(?:\(00\)|00)?([0-9]{18})\Z", re.ASCII)
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2}){2,62}\Z", re.ASCII)
_HEADERS: Final = frozenset({"id", "identity", "sscc", "epc", "sgtin", "uri"})
_CAME: Final = (ZoneStep.ARRIVED, ZoneStep.MOVED)


class ExpectedListError(LogisticsError):
    """A line of an expected list is no identity; names the line and the mend."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(
            f"line {line}: {text[:60]!r} is no SSCC of 18 digits, EPC in hexadecimal or urn:epc:..."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadCheck:
    """What an expected list and a zone's events come to; identities, sorted."""

    found: tuple[str, ...]
    missing: tuple[str, ...]  # expected, never came
    unexpected: tuple[str, ...]  # came, not expected
    doubled: tuple[str, ...]  # expected twice, on two tags, or came twice

    @property
    def is_right(self) -> bool:
        """Whether all that was expected came once, and nothing else."""
        return not (self.missing or self.unexpected or self.doubled)


def identity_of(epc: bytes) -> str:
    """What goods are the same by: `sscc:` and its 18 digits, else the pure identity URI."""
    return _identity(decode_epc(epc))


def _identity(epc: Epc) -> str:
    return f"sscc:{epc.sscc}" if epc.sscc is not None else epc.pure_uri


def parse_identity(text: str) -> str:
    """The identity of an SSCC, hexadecimal EPC, tag URI or pure identity URI. Raises
    IdentifierError.
    """
    sscc = _SSCC.match(text)
    if sscc is not None:
        return f"sscc:{require_check_digit(sscc[1])}"
    if text.startswith("urn:epc:tag:"):
        return identity_of(encode_epc(text))
    if text.startswith("urn:epc:id:sscc:"):
        # An SSCC is one whatever the filter of its tag says.
        return identity_of(encode_epc(f"urn:epc:tag:sscc-96:0.{text[16:]}"))
    if text.startswith("urn:epc:id:") and text.isprintable():
        return text
    if _HEX.match(text) is not None:
        return identity_of(bytes.fromhex(text))
    raise IdentifierError(f"no identity: {text[:40]!r}")


def parse_expected(text: str) -> list[str]:
    """The identities of a list: the first column, without a header. Raises ExpectedListError."""
    found: list[str] = []
    for number, row in enumerate(csv.reader(text.splitlines()), 1):
        first = row[0].strip().lstrip("\ufeff") if row else ""
        if not first or first.startswith("#") or (not found and first.lower() in _HEADERS):
            continue
        try:
            found.append(parse_identity(first))
        except IdentifierError as error:
            raise ExpectedListError(number, first) from error
        if len(found) > LINES_MAX:
            raise ExpectedListError(number, f"one of more than {LINES_MAX} lines")
    return found


def check_load(expected: Sequence[str], events: Iterable[ZoneEvent], zone: str) -> LoadCheck:
    """The expected identities against what arrived in the zone, or moved into it."""
    came = Counter(
        identity_of(event.epc) for event in events if event.zone == zone and event.step in _CAME
    )
    wanted = Counter(expected)
    doubled = {name for counts in (came, wanted) for name, count in counts.items() if count > 1}
    return LoadCheck(
        found=tuple(sorted(wanted.keys() & came.keys())),
        missing=tuple(sorted(wanted.keys() - came.keys())),
        unexpected=tuple(sorted(came.keys() - wanted.keys())),
        doubled=tuple(sorted(doubled)),
    )
