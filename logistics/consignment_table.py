"""A table of consignments as people send it (CSV): all of it is right, or nothing is taken.

One row is one shipment unit. Rows of one consignment agree in every column but `sscc`. Every fault
is found in one reading and says its row and field, as a spreadsheet numbers them: the header is
row 1.
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from io import StringIO
from typing import Final

from logistics.errors import IdentifierError, LogisticsError
from logistics.identifiers import require_check_digit
from logistics.moments import MomentError, parse_moment

COLUMNS: Final = (
    "consignment", "sscc", "carrier", "consignee", "from", "to", "pickup", "delivery",
)  # fmt: skip  # the header as it stands in a file
LIMIT_COLUMNS: Final = ("low", "high")
MAY_COLUMNS: Final = (*LIMIT_COLUMNS, "devices")
DEVICES_MAX, DEVICE_ID_BYTES_MAX = 64, 256
ROWS_MAX, FAULTS_MAX, TEXT_CHARS_MAX = 10_000, 100, 80
FILE_CHARS_MAX: Final = 4_000_000
CELSIUS_MILLI_MAX: Final = 1_000_000
_DEGREES: Final = re.compile(r"(-?)([0-9]{1,4})(?:\.([0-9]{1,3}))?")


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong in one field. row: as a spreadsheet shows it; field: a column's name."""

    row: int
    field: str
    reason: str


class TableError(LogisticsError):
    """A table with faults: nothing of it is taken."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("; ".join(f"row {f.row}, {f.field}: {f.reason}" for f in faults))
        self.faults = faults


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedConsignment:
    """A consignment of a table. Planned times: ms since 1970; limits: thousandths of a degree
    Celsius, None where the table gives none; units: SSCCs of 18 digits in the table's order;
    carrier, consignee: organisations' names; devices: ids of those that go with the goods, with
    blanks between them in the table. row: its first one.
    """

    row: int
    name: str
    units: tuple[str, ...]
    carrier: str
    consignee: str
    devices: tuple[str, ...]
    origin: str
    destination: str
    pickup_ms: int
    delivery_ms: int
    limits_milli: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class _Row:
    number: int
    cells: dict[str, str]


def parse_consignments(text: str) -> tuple[PlannedConsignment, ...]:
    """The table's consignments in the order of their first rows; raises TableError with every
    fault, at most FAULTS_MAX.
    """
    rows = _rows(text)
    faults: list[Fault] = []
    first: dict[str, _Row] = {}
    planned: dict[str, PlannedConsignment] = {}
    units: dict[str, list[str]] = {}
    seen: dict[str, int] = {}
    for row in rows:
        name, sscc = row.cells["consignment"], row.cells["sscc"]
        found = list(_unit_faults(row, seen))
        if name in first:
            found += _differences(first[name], row)
        else:
            first[name] = row
            consignment, own = _consignment(row)
            found += own
            if consignment is not None:
                planned[name] = consignment
        faults += found
        seen.setdefault(sscc, row.number)
        units.setdefault(name, []).append(sscc)
    if faults:
        raise TableError(tuple(faults[:FAULTS_MAX]))
    return tuple(replace(plan, units=tuple(units[name])) for name, plan in planned.items())


def _rows(text: str) -> list[_Row]:
    if len(text) > FILE_CHARS_MAX:
        raise TableError((Fault(1, "file", f"more than {FILE_CHARS_MAX} characters"),))
    try:
        lines = list(csv.reader(StringIO(text.removeprefix("\ufeff"), newline=""), strict=True))
    except csv.Error as error:
        raise TableError((Fault(1, "file", f"no CSV: {error}"),)) from error
    header = tuple(cell.strip() for cell in lines[0]) if lines else ()
    wrong = tuple(_header_faults(header))
    if wrong:
        raise TableError(wrong)
    numbered = [(at, line) for at, line in enumerate(lines[1:], 2) if any(line)]
    if not 0 < len(numbered) <= ROWS_MAX:
        raise TableError((Fault(2, "file", f"not 1 to {ROWS_MAX} rows"),))
    short = tuple(
        Fault(at, "file", f"{len(line)} fields, the header has {len(header)}")
        for at, line in numbered
        if len(line) != len(header)
    )
    if short:
        raise TableError(short[:FAULTS_MAX])
    return [
        _Row(at, {key: cell.strip() for key, cell in zip(header, line, strict=True)})
        for at, line in numbered
    ]


def _header_faults(header: tuple[str, ...]) -> Iterator[Fault]:
    for name in COLUMNS:
        if name not in header:
            yield Fault(1, name, "the column is missing")
    for at, name in enumerate(header):
        if name not in COLUMNS + MAY_COLUMNS:
            yield Fault(1, name[:TEXT_CHARS_MAX], "no column has this name")
        elif name in header[:at]:
            yield Fault(1, name, "the column stands there twice")


def _unit_faults(row: _Row, seen: dict[str, int]) -> Iterator[Fault]:
    sscc = row.cells["sscc"]
    if re.fullmatch("[0-9]{18}", sscc) is None:
        yield Fault(row.number, "sscc", "an SSCC has 18 digits")
        return
    try:
        require_check_digit(sscc)
    except IdentifierError as error:
        yield Fault(row.number, "sscc", str(error))
    if sscc in seen:
        yield Fault(row.number, "sscc", f"row {seen[sscc]} has this unit already")


def _differences(first: _Row, row: _Row) -> list[Fault]:
    return [
        Fault(row.number, field, f"not as in row {first.number} of the same consignment")
        for field, cell in row.cells.items()
        if field != "sscc" and cell != first.cells[field]
    ]


def _consignment(row: _Row) -> tuple[PlannedConsignment | None, list[Fault]]:
    """The row's consignment without its units, or what is wrong with it."""
    faults = [
        Fault(row.number, field, f"not 1 to {TEXT_CHARS_MAX} printable characters")
        for field in ("consignment", "carrier", "consignee", "from", "to")
        if not (0 < len(row.cells[field]) <= TEXT_CHARS_MAX and row.cells[field].isprintable())
    ]
    pickup, delivery = (_moment(row, field, faults) for field in ("pickup", "delivery"))
    if pickup is not None and delivery is not None and delivery < pickup:
        faults.append(Fault(row.number, "delivery", "is before the pick-up"))
    limits = _limits(row, faults)
    devices = _devices(row, faults)
    if faults or pickup is None or delivery is None:
        return None, faults
    made = PlannedConsignment(
        row=row.number,
        name=row.cells["consignment"],
        units=(),
        carrier=row.cells["carrier"],
        consignee=row.cells["consignee"],
        devices=devices,
        origin=row.cells["from"],
        destination=row.cells["to"],
        pickup_ms=pickup,
        delivery_ms=delivery,
        limits_milli=limits,
    )
    return made, faults


def _moment(row: _Row, field: str, faults: list[Fault]) -> int | None:
    text = row.cells[field]
    # A plan says its own time: "now" and "90m" would mean another one at each reading.
    if not text[:4].isdecimal() or "T" not in text:
        faults.append(Fault(row.number, field, "write it as 2026-11-23T10:00:00Z"))
        return None
    try:
        return parse_moment(text, 0)
    except (MomentError, OverflowError) as error:
        faults.append(Fault(row.number, field, str(error)))
        return None


def _devices(row: _Row, faults: list[Fault]) -> tuple[str, ...]:
    devices = tuple(row.cells.get("devices", "").split())
    fit = all(len(d.encode(errors="replace")) <= DEVICE_ID_BYTES_MAX for d in devices)
    if len(devices) > DEVICES_MAX or not fit or len(set(devices)) != len(devices):
        faults.append(Fault(row.number, "devices", f"not at most {DEVICES_MAX} ids, each once"))
    return devices


def _limits(row: _Row, faults: list[Fault]) -> tuple[int, int] | None:
    texts = [row.cells.get(field, "") for field in LIMIT_COLUMNS]
    if not any(texts):
        return None
    values = []
    for field, text in zip(LIMIT_COLUMNS, texts, strict=True):
        value = _celsius_milli(text)
        if value is None:
            faults.append(Fault(row.number, field, "not degrees Celsius such as -18.5"))
        else:
            values.append(value)
    if len(values) != len(LIMIT_COLUMNS):
        return None
    low, high = values
    if low > high:
        faults.append(Fault(row.number, "high", "is below low"))
    return low, high


def _celsius_milli(text: str) -> int | None:
    found = _DEGREES.fullmatch(text)
    if found is None:
        return None
    sign, whole, part = found.groups()
    value = int(whole) * 1000 + int((part or "").ljust(3, "0"))
    if value > CELSIUS_MILLI_MAX:
        return None
    return -value if sign else value
