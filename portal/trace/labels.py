"""Labels: a Digital Link as QR code, an SSCC as GS1-128 besides; as PDF and as ZPL.

Both are drawn as dots and bars of our own, so every printer and viewer shows the same modules.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import segno

from logistics.trace.code128 import sscc_bars
from logistics.trace.item_key import ItemKey, KeyKind

DOTS_A_MM: Final = 8  # 203 dpi
POINTS_A_MM: Final = 72 / 25.4
LABEL_MM: Final = (100, 150)
SMALL_MM: Final = (50, 30)
QUIET_MODULES: Final = 4
TEXT_CHARACTERS_MAX: Final = 60


@dataclass(frozen=True, slots=True)
class Box:
    """A dark rectangle in dots from the label's upper left corner."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text; its base line's left end in dots, its height in dots."""

    x: int
    y: int
    height: int
    text: str


@dataclass(frozen=True, slots=True)
class Label:
    """A label's size in dots, its rectangles and texts."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]


def link_of(key: ItemKey, address: str) -> str:
    """The Digital Link that stands in the code: in capitals where that changes nothing.

    A QR code holds capitals and digits in fewer modules; scheme and host mean the same in both.
    """
    return (address.upper() if key.path.isupper() or key.path.isascii() else address) + key.path


def make_label(key: ItemKey, address: str, *, title: str = "") -> Label:
    """The label of a key at this portal's address; a large one with bars for a logistic unit."""
    is_unit = key.kind is KeyKind.SSCC
    width, height = (side * DOTS_A_MM for side in (LABEL_MM if is_unit else SMALL_MM))
    lines = [Line(2 * DOTS_A_MM, 5 * DOTS_A_MM, 24, title[:TEXT_CHARACTERS_MAX])] if title else []
    code = segno.make_qr(link_of(key, address), error="q", boost_error=False)
    rows = [list(row) for row in code.matrix]
    side = width // 2 if is_unit else 24 * DOTS_A_MM
    dot = side // (len(rows) + 2 * QUIET_MODULES)
    top = 7 * DOTS_A_MM if title else 0
    boxes = list(_matrix(rows, dot * QUIET_MODULES, top + dot * QUIET_MODULES, dot))
    text_y = top + dot * (len(rows) + 2 * QUIET_MODULES) + 4 * DOTS_A_MM
    human = _human(key)
    if is_unit:
        bars = sscc_bars(key)
        dot = 4
        left = (width - dot * len(bars)) // 2
        boxes += _bars(bars, left=left, top=text_y, dot=dot, height=32 * DOTS_A_MM)
        text_y += 32 * DOTS_A_MM + 4 * DOTS_A_MM
        lines += [Line(left, text_y, 28, human[0])]
    else:
        left = dot * (len(rows) + 2 * QUIET_MODULES) + DOTS_A_MM
        lines += [Line(left, top + (n + 2) * 28, 20, text) for n, text in enumerate(human)]
    return Label(width, height, tuple(boxes), tuple(lines))


def _human(key: ItemKey) -> list[str]:
    names = {
        KeyKind.SSCC: ("00", ""),
        KeyKind.SGLN: ("414", "254"),
        KeyKind.SGTIN: ("01", "21"),
        KeyKind.LOT: ("01", "10"),
        KeyKind.GTIN: ("01", ""),
    }
    first, second = names[key.kind]
    return [f"({first}) {key.number}"] + ([f"({second}) {key.tail}"] if key.tail else [])


def _matrix(rows: Sequence[Sequence[int]], left: int, top: int, dot: int) -> Iterator[Box]:
    for row, values in enumerate(rows):
        start: int | None = None
        for column, value in enumerate([*values, 0]):
            if value and start is None:
                start = column
            elif not value and start is not None:
                x = left + dot * start
                yield Box(x, top + dot * row, dot * (column - start), dot)
                start = None


def _bars(bars: Sequence[bool], *, left: int, top: int, dot: int, height: int) -> Iterator[Box]:
    start: int | None = None
    for column, dark in enumerate([*bars, False]):
        if dark and start is None:
            start = column
        elif not dark and start is not None:
            yield Box(left + dot * start, top, dot * (column - start), height)
            start = None


def as_zpl(label: Label) -> str:
    """The label for a Zebra printer of 203 dpi: boxes as graphics, so no font or code differs."""
    rows = ["^XA", "^CI28", f"^PW{label.width}", f"^LL{label.height}"]
    rows += [
        f"^FO{box.x},{box.y}^GB{box.width},{box.height},{min(box.width, box.height)}^FS"
        for box in label.boxes
    ]
    rows += [
        f"^FO{line.x},{line.y - line.height}^A0N,{line.height}^FH_^FD{_zpl_text(line.text)}^FS"
        for line in label.lines
    ]
    return "\n".join([*rows, "^XZ", ""])


def _zpl_text(text: str) -> str:
    """What a command of ZPL could be made of goes in as hexadecimal."""
    return "".join(
        f"_{octet:02X}" if octet < 0x20 or chr(octet) in "^~_\\" or octet > 0x7E else chr(octet)
        for octet in text.encode("utf-8")
    )


def as_pdf(labels: Sequence[Label]) -> bytes:
    """The labels as a PDF, one a page, with bars and dots as rectangles."""
    objects: list[bytes] = [b"", b"", b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    pages = []
    for label in labels:
        stream = _pdf_stream(label).encode("latin-1")
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream))
        scale = POINTS_A_MM / DOTS_A_MM
        page = (
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {label.width * scale:.2f} "
            f"{label.height * scale:.2f}] /Resources << /Font << /F1 3 0 R >> >> "
            f"/Contents {len(objects)} 0 R >>"
        )
        objects.append(page.encode())
        pages.append(len(objects))
    kids = " ".join(f"{number} 0 R" for number in pages)
    objects[0] = b"<< /Type /Catalog /Pages 2 0 R >>"
    objects[1] = f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode()
    return _pdf_file(objects)


def _pdf_stream(label: Label) -> str:
    scale = POINTS_A_MM / DOTS_A_MM
    rows = [f"{scale:.6f} 0 0 {scale:.6f} 0 0 cm", "0 g"]
    rows += [
        f"{box.x} {label.height - box.y - box.height} {box.width} {box.height} re"
        for box in label.boxes
    ]
    rows.append("f")
    for line in label.lines:
        text = line.text.encode("latin-1", "replace").decode("latin-1")
        for char in "\\()":
            text = text.replace(char, "\\" + char)
        place = f"{line.x} {label.height - line.y}"
        rows.append(f"BT /F1 {line.height} Tf {place} Td ({text}) Tj ET")
    return "\n".join(rows)


def _pdf_file(objects: Sequence[bytes]) -> bytes:
    out = bytearray(b"%PDF-1.4\n")
    places = []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (
        len(objects) + 1,
        start,
    )
    return bytes(out)
