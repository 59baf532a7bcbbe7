"""What was measured as a file to take away: CSV, JSON or PDF, each with the digest of its rows.

The digest is one for all three forms: SHA-256 of the rows as canonical CBOR, so that a printed page
and a spreadsheet can be held against each other, and both against a proof bundle's readings.

    rows    = [ 1, from-ms, to-ms, [* channel ]]
    channel = [ feed, device, channel, unit, [* [ ms, milli, anchored, flags ]]]
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from starlette.responses import Response

from ledger.canonical import encode
from ledger.hashing import sha256
from portal.chart.spells import Interval
from portal.errors import MissingError
from portal.journey.pdf import Table, pdf_of
from portal.journey.queries import Channel

DIGEST_HEADER: Final = "x-wharf-rows-sha256"
Rows = Mapping[Channel, Sequence[Sequence[Any]]]
HEAD: Final = ("time_utc", "feed", "device", "channel", "value", "unit", "anchored", "flags")


def rows_digest(span: Interval, rows: Rows) -> str:
    """SHA-256 of the rows, hex."""
    content = [
        [c.feed, c.device, c.channel, c.unit, [list(row) for row in found]]
        for c, found in rows.items()
    ]
    return sha256(encode([1, span.from_ms, span.to_ms, content])).hex()


def iso(ms: int) -> str:
    """A moment in UTC with milliseconds."""
    return (
        datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03}Z"
    )


def decimal(milli: int) -> str:
    """Thousandths as a decimal number."""
    sign, size = ("-" if milli < 0 else ""), abs(milli)
    return f"{sign}{size // 1000}.{size % 1000:03}"


def export(form: str, *, name: str, span: Interval, rows: Rows) -> Response:
    """The file; raises MissingError for a form that there is none of."""
    makers = {"csv": _csv, "json": _json, "pdf": _pdf}
    if form not in makers:
        raise MissingError
    digest = rows_digest(span, rows)
    content, media_type = makers[form](name, span, rows, digest)
    safe = "".join(c if c.isascii() and c.isalnum() else "-" for c in name)
    headers = {
        DIGEST_HEADER: digest,
        "content-disposition": f'attachment; filename="{safe}.{form}"',
    }
    return Response(content, media_type=media_type, headers=headers)


def _lines(rows: Rows) -> list[list[Any]]:
    return [
        [iso(at), c.feed, c.device, c.channel, decimal(milli), c.unit or "", int(anchored), flags]
        for c, found in rows.items()
        for at, milli, anchored, flags in found
    ]


def _csv(name: str, span: Interval, rows: Rows, digest: str) -> tuple[bytes, str]:
    del name, span  # the rows say it
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(HEAD)
    writer.writerows([_cell(item) for item in line] for line in _lines(rows))
    writer.writerow([f"# rows sha256 {digest}"])
    return text.getvalue().encode(), "text/csv; charset=utf-8"


def _cell(item: Any) -> Any:
    # A spreadsheet runs what looks like a formula; names come from devices.
    return f"'{item}" if isinstance(item, str) and item[:1] in "=+@\t\r" and item else item


def _json(name: str, span: Interval, rows: Rows, digest: str) -> tuple[bytes, str]:
    value = {
        "name": name,
        "from_ms": span.from_ms,
        "to_ms": span.to_ms,
        "channels": [
            {
                "feed": c.feed,
                "device": c.device,
                "channel": c.channel,
                "unit": c.unit,
                "columns": ["ms", "milli", "anchored", "flags"],
                "rows": [list(row) for row in found],
            }
            for c, found in rows.items()
        ],
        "rows_sha256": digest,
    }
    return json.dumps(value, ensure_ascii=False).encode(), "application/json"


def _pdf(name: str, span: Interval, rows: Rows, digest: str) -> tuple[bytes, str]:
    table = Table(
        title=name,
        lines=(f"{iso(span.from_ms)} - {iso(span.to_ms)}", f"rows sha256 {digest}"),
        head=("time (UTC)", "channel", "value", "unit", "anchored"),
        rows=tuple(
            (line[0], f"{line[2]} {line[3]}", line[4], line[5], "yes" if line[6] else "not yet")
            for line in _lines(rows)
        ),
    )
    return pdf_of(table), "application/pdf"
