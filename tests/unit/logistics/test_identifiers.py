"""GS1 check digits and the EPC of tags, against the standard's own examples."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logistics.errors import IdentifierError
from logistics.identifiers import (
    decode_epc,
    encode_sgtin_96,
    gs1_check_digit,
    require_check_digit,
)

VECTORS = json.loads((Path(__file__).parents[2] / "vectors/devices.json").read_text())


@pytest.mark.parametrize(("digits", "tag_uri", "number"), VECTORS["epc"])
def test_the_standards_examples_decode(digits: str, tag_uri: str, number: str) -> None:
    epc = decode_epc(bytes.fromhex(digits))
    assert (tag_uri, number) == (epc.tag_uri, epc.gtin or epc.sscc)


def test_the_pure_identity_has_no_filter() -> None:
    epc = decode_epc(bytes.fromhex(VECTORS["epc"][0][0]))
    assert ("urn:epc:id:sgtin:0614141.812345.6789", "6789") == (epc.pure_uri, epc.serial)


@pytest.mark.parametrize(
    ("digits", "pc"),
    [
        ("e28068900000500e88c6a4a7", 0x3000),
        ("3074257bf7194e4000001a85", 0x3100),
        ("307c257bf7194e4000001a85", None),
        ("3174257bf4499602d2000001", None),
        ("30751feb", None),
        ("", None),
        ("307fffffffffffffffffffff", None),
        ("3063ffffffffffffffffffff", None),
    ],
    ids=["factory", "ISO toggle", "partition 7", "reserved bits", "short", "none", "p 7", "big"],
)
def test_anything_else_stays_raw(digits: str, pc: int | None) -> None:
    epc = decode_epc(bytes.fromhex(digits), pc)
    assert f"urn:epc:raw:{4 * len(digits)}.x{digits.upper()}" == epc.tag_uri
    assert ("raw", None, None) == (epc.scheme, epc.gtin, epc.sscc)


@given(st.binary(max_size=64), st.none() | st.integers(0, 0xFFFF))
def test_no_tag_content_raises(epc: bytes, pc: int | None) -> None:
    assert decode_epc(epc, pc).tag_uri


@given(st.integers(0, 10**13 - 1), st.integers(6, 12), st.integers(0, (1 << 38) - 1))
def test_an_encoded_sgtin_decodes_to_itself(number: int, company_digits: int, serial: int) -> None:
    digits = f"{number:013}"
    company, item = digits[:company_digits], digits[company_digits:]
    epc = decode_epc(encode_sgtin_96(company=company, item=item, serial=serial))
    assert f"urn:epc:id:sgtin:{company}.{item}.{serial}" == epc.pure_uri


@pytest.mark.parametrize(
    "fields",
    [
        {"company": "12345", "item": "12345678", "serial": 1},
        {"company": "0614141", "item": "81234", "serial": 1},
        {"company": "0614141", "item": "812345", "serial": 1 << 38},
        {"company": "061414x", "item": "812345", "serial": 1},
    ],
)
def test_what_does_not_fit_is_not_encoded(fields: dict[str, object]) -> None:
    with pytest.raises(IdentifierError):
        encode_sgtin_96(**fields)  # type: ignore[arg-type]  # wrong on purpose


def test_check_digits_are_the_ones_of_gs1() -> None:
    assert "3" == gs1_check_digit("629104150021")
    assert "6291041500213" == require_check_digit("6291041500213")
    for wrong in ("6291041500214", "", "123", "629104150021x"):
        with pytest.raises(IdentifierError):
            require_check_digit(wrong)
