"""A table as a PDF 1.4 file, written here: text in Courier on A4 pages, nothing else in it.

Source: ISO 32000-1, sections 7.5 (file structure) and 9.4 (text). The same table gives the same
bytes. Letters outside Latin-1 are shown as "?": the exact text is in the CSV and JSON forms.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

LINES_A_PAGE: Final = 66
WIDTHS: Final = (25, 34, 12, 6, 9)
LETTERS: Final = 90
_PAGE: Final = "/MediaBox [0 0 595 842]"


@dataclass(frozen=True, slots=True)
class Table:
    """What is printed: a title, lines below it, column heads and rows of text."""

    title: str
    lines: tuple[str, ...]
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def pdf_of(table: Table) -> bytes:
    """The file's bytes."""
    text = [table.title, *table.lines, "", _row(table.head), "-" * LETTERS]
    text += [_row(row) for row in table.rows]
    pages = [text[at : at + LINES_A_PAGE] for at in range(0, len(text), LINES_A_PAGE)]
    kids = [4 + 2 * number for number in range(len(pages))]
    references = " ".join(f"{kid} 0 R" for kid in kids)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{references}] /Count {len(pages)} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Courier /Encoding /WinAnsiEncoding >>",
    ]
    for number, lines in enumerate(pages, 1):
        content = _content([*lines, "", f"{number} / {len(pages)}"])
        fonts = "/Resources << /Font << /F 3 0 R >> >>"
        place = len(objects) + 2
        page = f"<< /Type /Page /Parent 2 0 R {_PAGE} {fonts} /Contents {place} 0 R >>"
        stream = b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content)
        objects += [page.encode(), stream]
    return _file(objects)


def _row(cells: Sequence[str]) -> str:
    return " ".join(cell[:width].ljust(width) for cell, width in zip(cells, WIDTHS, strict=True))


def _content(lines: Sequence[str]) -> bytes:
    shown = [b"(%s) Tj T*" % _escaped(line[:LETTERS].rstrip()) for line in lines]
    return b"BT /F 9 Tf 11 TL 50 800 Td\n%s\nET" % b"\n".join(shown)


def _escaped(text: str) -> bytes:
    data = text.encode("latin-1", "replace")
    for letter in (b"\\", b"(", b")"):
        data = data.replace(letter, b"\\" + letter)
    return data


def _file(objects: Sequence[bytes]) -> bytes:
    data, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    index = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    return data + (
        b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R >>\n"
        b"startxref\n%d\n%%%%EOF\n" % (size, index, size, len(data))
    )
