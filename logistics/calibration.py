"""A probe's calibration, as a descriptor carries it: one line of text (docs/formats/reading.md).

    probe=28-0316a2794bff;number=K-2291;issuer=Norddeutsches Prüflabor;dated=2026-05-04;
    due=2027-05-04;sha256=<64 hexadecimal digits of the certificate's digest>

Always these six, in this order. A probe is past due from the end of the day `due` on, UTC.
"""

import re
from dataclasses import astuple, dataclass, fields
from datetime import UTC, date, datetime, timedelta
from typing import Final

from logistics.errors import BodyError
from logistics.reading import TEXT_BYTES_MAX

_RECORD: Final = "calibration"
_SHA256: Final = re.compile(r"[0-9a-f]{64}\Z")
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Which probe, by which certificate, until when. Days are ISO 8601."""

    probe: str
    number: str
    issuer: str
    dated: str
    due: str
    sha256: str  # of the certificate's bytes

    def __post_init__(self) -> None:
        """Raises BodyError naming the field that cannot be."""
        for name in ("probe", "number", "issuer"):
            text = getattr(self, name)
            if not text or not text.isprintable() or set(";=") & set(text):
                raise BodyError(_RECORD, name, "not a text without ; and =")
        if _SHA256.match(self.sha256) is None:
            raise BodyError(_RECORD, "sha256", "not 64 hexadecimal digits")
        if not _day(self.dated, "dated") <= _day(self.due, "due"):
            raise BodyError(_RECORD, "due", "before the certificate's own date")
        if len(self.to_text().encode()) > TEXT_BYTES_MAX:
            raise BodyError(_RECORD, "issuer", f"all six together exceed {TEXT_BYTES_MAX} bytes")

    def to_text(self) -> str:
        """The one line of it."""
        names = [item.name for item in fields(self)]
        return ";".join(f"{name}={value}" for name, value in zip(names, astuple(self), strict=True))

    @staticmethod
    def from_text(text: str) -> "Calibration":
        """The calibration of that line. Raises BodyError."""
        pairs = [piece.partition("=") for piece in text.split(";")]
        if [name for name, _, _ in pairs] != [item.name for item in fields(Calibration)]:
            raise BodyError(_RECORD, "text", "not the six fields in their order")
        return Calibration(**{name: value for name, _, value in pairs})

    @property
    def valid_until_us(self) -> int:
        """The end of its last day, microseconds since 1970, UTC."""
        day = _day(self.due, "due") + timedelta(days=1)
        midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
        return (midnight - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _day(text: str, field: str) -> date:
    try:
        day = date.fromisoformat(text) if _DAY.match(text) else None
    except ValueError:
        day = None
    if day is None or day == date.max:
        raise BodyError(_RECORD, field, "not a day such as 2027-05-04")
    return day


def calibration_of(text: object) -> Calibration | None:
    """What a descriptor's calibration says; None where there is none, or an unknown form of it."""
    if not isinstance(text, str):
        return None
    try:
        return Calibration.from_text(text)
    except BodyError:
        return None
