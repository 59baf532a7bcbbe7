"""Keys of goods, units and places, and the ids that the chain knows them by."""

import os

import pytest

from logistics.epc import decode_epc, encode_epc
from logistics.errors import IdentifierError
from logistics.trace.item_key import (
    gtin,
    key_of_epc,
    lot,
    new_serial,
    require_unguessable,
    sgln,
    sgtin,
    sscc,
)
from logistics.trace.key_of_link import key_of_link, key_of_uri, read_link


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("urn:epc:id:sgtin:0614141.107346.2018", sgtin("10614141073464", "2018")),
        ("urn:epc:id:sgtin:0614141.112345.a%2Fb", sgtin("10614141123459", "a/b")),
        ("urn:epc:class:lgtin:4012345.012345.998877", lot("04012345123456", "998877")),
        ("urn:epc:idpat:sgtin:4012345.012345.*", gtin("04012345123456")),
        ("urn:epc:id:sscc:4012345.0000000333", sscc("040123450000003338")),
        ("urn:epc:id:sgln:4012345.00225.0", sgln("4012345002256")),
        ("urn:epc:id:sgln:0012345.11111.400", sgln("0012345111112", "400")),
        ("https://b.example/01/10614141073464/10/L/21/2018", sgtin("10614141073464", "2018")),
        ("https://b.example/01/10614141073464/10/L", lot("10614141073464", "L")),
    ],
)
def test_one_thing_has_one_key_however_it_is_written(uri: str, expected: object) -> None:
    assert expected == key_of_uri(uri)


@pytest.mark.parametrize(
    "key",
    [
        gtin("10614141073464"),
        lot("10614141073464", "L/7"),
        sgtin("10614141073464", 'a"b%c'),
        sscc("040123450000003338"),
        sgln("4012345002256"),
        sgln("4012345002256", "dock-1"),
    ],
)
def test_a_key_comes_back_from_its_link(key: object) -> None:
    assert key == key_of_link(read_link(key.uri))  # type: ignore[attr-defined]  # any key


def test_a_tags_epc_and_a_label_name_the_same_item() -> None:
    epc = decode_epc(encode_epc("urn:epc:tag:sgtin-96:3.0614141.812345.6789"))
    assert sgtin("80614141123458", "6789") == key_of_epc(epc)
    assert key_of_epc(decode_epc(b"\x00" * 12)) is None


def test_chain_ids_differ_with_every_part_of_a_key() -> None:
    number = "10614141073464"
    keys = [gtin(number), lot(number, "1"), sgtin(number, "1"), sgtin(number, "11")]
    assert 4 == len({key.chain_id for key in keys})
    assert "1cc3b9f8" != keys[0].chain_id.hex()[:8]


@pytest.mark.parametrize(
    "make",
    [
        lambda: gtin("10614141073465"),
        lambda: gtin("0614141073464"),
        lambda: sgtin("10614141073464", ""),
        lambda: sgtin("10614141073464", "x" * 21),
        lambda: sgtin("10614141073464", "ü"),
        lambda: sscc("40123450000003338"),
        lambda: sgln("4012345002257"),
        lambda: key_of_uri("urn:epc:id:sgtin:0614141.10734.2018"),
        lambda: key_of_uri("urn:epc:id:grai:0614141.12345.1"),
        lambda: key_of_uri("https://b.example/8004/0614141A"),
        lambda: key_of_uri("urn:epc:id:sgtin:0614141.112345.%GG"),
    ],
)
def test_what_is_no_key_is_refused(make: object) -> None:
    with pytest.raises(IdentifierError):
        make()  # type: ignore[operator]  # a table of calls


def test_new_serials_are_long_random_and_never_alike() -> None:
    serials = [new_serial(os.urandom) for _ in range(2_000)]
    assert 2_000 == len(set(serials))
    assert {13} == {len(serial) for serial in serials}
    require_unguessable(serials)


@pytest.mark.parametrize(
    "serials",
    [
        ["1", "2"],
        ["100000000001", "100000000002"],
        ["ABCDEFGH0001", "ABCDEFGH0002"],
        ["AAAAAAAAAAA"],
    ],
)
def test_serials_that_a_stranger_could_guess_are_refused(serials: list[str]) -> None:
    with pytest.raises(IdentifierError, match="guess"):
        require_unguessable(serials)
