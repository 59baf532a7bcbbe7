"""RFC 8949, appendix A: what of it is ours is read and written to the byte; all else is refused."""

from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.canonical import DEPTH_MAX, decode, decode_sequence, encode
from ledger.errors import NotCanonicalError

APPENDIX_A_TAKEN: list[tuple[str, Any]] = [
    ("00", 0), ("01", 1), ("0a", 10), ("17", 23), ("1818", 24), ("1819", 25), ("1864", 100),
    ("1903e8", 1000), ("1a000f4240", 1_000_000), ("1b000000e8d4a51000", 1_000_000_000_000),
    ("1bffffffffffffffff", 18_446_744_073_709_551_615),
    ("3bffffffffffffffff", -18_446_744_073_709_551_616),
    ("20", -1), ("29", -10), ("3863", -100), ("3903e7", -1000),
    ("f4", False), ("f5", True), ("f6", None),
    ("40", b""), ("4401020304", b"\x01\x02\x03\x04"),
    ("60", ""), ("6161", "a"), ("6449455446", "IETF"), ("62225c", '"\\'),
    ("62c3bc", "ü"), ("63e6b0b4", "水"), ("64f0908591", "\U00010151"),
    ("80", []), ("83010203", [1, 2, 3]), ("8301820203820405", [1, [2, 3], [4, 5]]),
    ("98190102030405060708090a0b0c0d0e0f101112131415161718181819", list(range(1, 26))),
    ("a0", {}), ("a201020304", {1: 2, 3: 4}), ("a26161016162820203", {"a": 1, "b": [2, 3]}),
    ("826161a161626163", ["a", {"b": "c"}]),
    ("a56161614161626142616361436164614461656145", dict(zip("abcde", "ABCDE", strict=True))),
]  # fmt: skip  # as the appendix gives them

APPENDIX_A_REFUSED = [
    "c249010000000000000000", "c349010000000000000000",  # bignums
    "f90000", "f98000", "f93c00", "fb3ff199999999999a", "f93e00", "f97bff", "fa47c35000",
    "fa7f7fffff", "fb7e37e43c8800759c", "f90001", "f90400", "f9c400", "fbc010666666666666",
    "f97c00", "f97e00", "f9fc00", "fa7f800000", "fa7fc00000", "faff800000",
    "fb7ff0000000000000", "fb7ff8000000000000", "fbfff0000000000000",
    "f7", "f0", "f8ff",  # undefined, simple values
    "c074323031332d30332d32315432303a30343a30305a", "c11a514b67b0",
    "c1fb41d452d9e800000000", "d74401020304", "d818456449455446",
    "d82076687474703a2f2f7777772e6578616d706c652e636f6d",
    "5f42010243030405ff", "7f657374726561646d696e67ff", "9fff", "9f018202039f0405ffff",
    "9f01820203820405ff", "83018202039f0405ff", "83019f0203ff820405",
    "9f0102030405060708090a0b0c0d0e0f101112131415161718181819ff",
    "bf61610161629f0203ffff", "826161bf61626163ff", "bf6346756ef563416d7421ff",
]  # fmt: skip  # as the appendix gives them

NOT_CANONICAL = {
    "nothing": "",
    "two items": "0000",
    "23 in two bytes": "1817",
    "255 in three bytes": "1900ff",
    "65535 in five bytes": "1a0000ffff",
    "2^32 - 1 in nine bytes": "1b00000000ffffffff",
    "a length in two bytes": "580161",
    "an array length in two bytes": "980100",
    "map keys out of order": "a203040102",
    "map keys in RFC 7049's order, shorter first": "a2613100190100" + "00",
    "a map key twice": "a201020103",
    "a boolean as map key": "a1f500",
    "an array as map key": "a18000",
    "half a string": "6261",
    "text that is no UTF-8": "61ff",
    "a surrogate in UTF-8": "63eda080",
    "an array longer than its bytes": "9b7fffffffffffffff",
    "a map longer than its bytes": "bb7fffffffffffffff",
    "a string longer than its bytes": "5bffffffffffffffff",
    "tag 4 of one number": "c48101",
    "tag 4 of text": "c482016161",
    "tag 4 with a bignum": "c48201c2410a",
    "tag 18": "d28440a0f640",
    "a reserved length": "1c",
    "a break alone": "ff",
}


@pytest.mark.parametrize(("text", "value"), APPENDIX_A_TAKEN)
def test_the_examples_of_our_subset_are_read_and_written_to_the_byte(text: str, value: Any) -> None:
    assert (value, type(value)) == (decode(bytes.fromhex(text)), type(decode(bytes.fromhex(text))))
    assert text == encode(value).hex()


@pytest.mark.parametrize("text", APPENDIX_A_REFUSED)
def test_the_examples_outside_our_subset_are_refused(text: str) -> None:
    with pytest.raises(NotCanonicalError):
        decode(bytes.fromhex(text))


@pytest.mark.parametrize("text", NOT_CANONICAL.values(), ids=NOT_CANONICAL)
def test_other_encodings_are_refused(text: str) -> None:
    with pytest.raises(NotCanonicalError):
        decode(bytes.fromhex(text))


def test_depth_ends_at_the_limit() -> None:
    assert decode(b"\x81" * DEPTH_MAX + b"\x00")
    with pytest.raises(NotCanonicalError, match="deep"):
        decode(b"\x81" * (DEPTH_MAX + 1) + b"\x00")
    deep: Any = 0
    for _ in range(DEPTH_MAX + 1):
        deep = [deep]
    with pytest.raises(NotCanonicalError, match="deep"):
        encode(deep)


def test_map_keys_ascend_by_their_bytes() -> None:
    assert (
        "a4" + "0a00" + "1818" + "00" + "2000" + "6161" + "00"
        == encode({"a": 0, -1: 0, 24: 0, 10: 0}).hex()
    )


@pytest.mark.parametrize(
    "value", [1.5, float("nan"), 1 << 64, -(1 << 64) - 1, {1.0: 0}, {True: 0}, {1, 2}, object()]
)
def test_what_has_no_canonical_form_is_not_written(value: object) -> None:
    with pytest.raises(NotCanonicalError):
        encode(value)


def test_a_decimal_fraction_is_two_integers_under_tag_4() -> None:
    assert "c4822119" + "6ab3" == encode(cbor2.CBORTag(4, [-2, 27315])).hex()
    assert cbor2.CBORTag(4, [-2, 27315]) == decode(bytes.fromhex("c48221196ab3"))


def test_a_row_of_items_comes_back_with_the_bytes_of_each() -> None:
    assert [(1, b"\x01"), ("a", b"\x61a"), ([], b"\x80")] == decode_sequence(b"\x01\x61a\x80")
    with pytest.raises(NotCanonicalError):
        decode_sequence(b"\x01\x18")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 64), (1 << 64) - 1) | st.binary() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.integers(-99, 99) | st.text() | st.binary(), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(VALUES)
def test_every_value_comes_back_and_a_general_decoder_agrees(value: Any) -> None:
    data = encode(value)
    assert value == decode(data)
    assert value == cbor2.loads(data)


@given(st.binary(max_size=40))
def test_whatever_is_taken_is_written_back_to_the_byte(data: bytes) -> None:
    try:
        value = decode(data)
    except NotCanonicalError:
        return
    assert data == encode(value)
