"""Labels, drawn from their PDF and ZPL and read back by a scanner's library."""

import re
from collections.abc import Sequence

import pytest
import zxingcpp

from logistics.trace.item_key import ItemKey, sgtin, sscc
from logistics.trace.key_of_link import key_of_link, read_link
from portal.trace.labels import as_pdf, as_zpl, make_label

ADDRESS = "https://trace.example.com"
ITEM = sgtin("10614141073464", "8R2KT5QW0HJ4A")
PALLET = sscc("040123450000003338")
ZPL_BOX = re.compile(r"\^FO(\d+),(\d+)\^GB(\d+),(\d+),(\d+)\^FS")
PDF_BOX = re.compile(rb"^(\d+) (\d+) (\d+) (\d+) re$", re.MULTILINE)


def drawn(size: tuple[int, int], boxes: Sequence[Sequence[int]]) -> memoryview:
    """An image of dark boxes (x, y from the top, width, height) with a white frame."""
    width, height = size[0] + 80, size[1] + 80
    image = bytearray(b"\xff") * (width * height)
    for x, y, wide, high in boxes:
        for row in range(y + 40, y + high + 40):
            start = row * width + x + 40
            image[start : start + wide] = bytes(wide)
    return memoryview(image).cast("B", shape=[height, width])


def of_zpl(text: str) -> memoryview:
    (width,), (height,) = re.findall(r"\^PW(\d+)", text), re.findall(r"\^LL(\d+)", text)
    rows = [[int(number) for number in row] for row in ZPL_BOX.findall(text)]
    assert all(row[4] == min(row[2:4]) for row in rows)  # filled, no frames
    return drawn((int(width), int(height)), [row[:4] for row in rows])


def of_pdf(data: bytes, size: tuple[int, int]) -> memoryview:
    rows = [[int(number) for number in row] for row in PDF_BOX.findall(data)]
    return drawn(size, [(x, size[1] - y - high, wide, high) for x, y, wide, high in rows])


def read(image: memoryview) -> dict[str, str]:
    return {str(code.format): code.text for code in zxingcpp.read_barcodes(image)}


@pytest.mark.parametrize("key", [ITEM, PALLET], ids=["item", "pallet"])
@pytest.mark.parametrize("form", ["pdf", "zpl"])
def test_a_printed_label_is_read_back_as_the_same_key(key: ItemKey, form: str) -> None:
    label = make_label(key, ADDRESS, title="Cold (store) ^7")
    size = (label.width, label.height)
    image = of_pdf(as_pdf([label]), size) if form == "pdf" else of_zpl(as_zpl(label))
    codes = read(image)
    link = next(text for name, text in codes.items() if "QR" in name)
    assert key == key_of_link(read_link(link))
    if key is PALLET:
        bars = next(text for name, text in codes.items() if "128" in name)
        assert "00" + PALLET.number == bars.replace("(", "").replace(")", "").replace("\x1d", "")


def test_the_codes_correct_a_quarter_of_errors_and_hold_capitals_densely() -> None:
    label = make_label(ITEM, ADDRESS)
    image = of_zpl(as_zpl(label))
    (code,) = zxingcpp.read_barcodes(image)
    assert "Q" == code.ec_level
    assert code.text.startswith("HTTPS://TRACE.EXAMPLE.COM/01/")


def test_a_title_cannot_give_the_printer_a_command() -> None:
    text = as_zpl(make_label(ITEM, ADDRESS, title="x^FS^XZ^XA~JR_5E"))
    assert (1, 1) == (text.count("^XA"), text.count("^XZ"))
    assert "~" not in text
    data = as_pdf([make_label(ITEM, ADDRESS, title="a) Tj ET (b\\")])
    assert b"(a\\) Tj ET \\(b\\\\) Tj" in data
    assert data.endswith(b"%%EOF\n")


def test_cross_reference_of_the_pdf_leads_to_its_objects() -> None:
    data = as_pdf([make_label(ITEM, ADDRESS), make_label(PALLET, ADDRESS)])
    start = int(data.split(b"startxref\n")[1].split(b"\n")[0])
    assert data[start:].startswith(b"xref")
    for number, place in enumerate(re.findall(rb"^(\d{10}) 00000 n ", data, re.MULTILINE), 1):
        assert data[int(place) :].startswith(b"%d 0 obj" % number)
