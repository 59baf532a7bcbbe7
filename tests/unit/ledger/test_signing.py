import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ledger import signing
from ledger.errors import FormatError, SignatureError
from ledger.signing import EDDSA, ES256, P256_ORDER, PublicKey, kid_of, low_s, public_key_of
from tests.unit.ledger.feed_builder import FeedBuilder

# RFC 8032, section 7.1, test 2.
ED_PUBLIC = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
ED_SIGNATURE = bytes.fromhex(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)
SPKI_FORM = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def test_an_ed25519_signature_of_rfc_8032_verifies() -> None:
    spki = Ed25519PublicKey.from_public_bytes(ED_PUBLIC).public_bytes(*SPKI_FORM)
    key = PublicKey(EDDSA, spki)
    key.verify(b"\x72", ED_SIGNATURE)
    for message, signature in ((b"\x73", ED_SIGNATURE), (b"\x72", ED_SIGNATURE[:-1] + b"\x01")):
        with pytest.raises(SignatureError):
            key.verify(message, signature)


def test_of_an_es256_signatures_two_forms_one_is_refused() -> None:
    feed = FeedBuilder(alg=ES256)
    signature = feed.sign(b"text")
    feed.key.verify(b"text", signature)
    high = P256_ORDER - int.from_bytes(signature[32:], "big")
    twin = signature[:32] + high.to_bytes(32, "big")
    with pytest.raises(SignatureError, match="high S"):
        feed.key.verify(b"text", twin)
    assert signature == low_s(twin) == low_s(signature)


@pytest.mark.parametrize("size", [0, 63, 65, 70])
def test_a_signature_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(SignatureError):
        FeedBuilder(alg=ES256).key.verify(b"text", bytes(size))


@pytest.mark.parametrize("signature", [bytes(64), bytes(32) + b"\x01".rjust(32, b"\x00")])
def test_zeros_are_no_signature(signature: bytes) -> None:
    with pytest.raises(SignatureError):
        FeedBuilder(alg=ES256).key.verify(b"text", signature)


def test_only_p256_and_ed25519_keys_in_their_one_form_are_taken() -> None:
    p384 = ec.derive_private_key(5, ec.SECP384R1()).public_key().public_bytes(*SPKI_FORM)
    big = rsa.generate_private_key(65537, 2048).public_key().public_bytes(*SPKI_FORM)
    p256 = ec.derive_private_key(5, ec.SECP256R1()).public_key()
    squeezed = p256.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    good = p256.public_bytes(*SPKI_FORM)
    for alg, spki in [(ES256, p384), (ES256, big), (ES256, squeezed), (ES256, good + b"\x00")]:
        with pytest.raises(FormatError):
            PublicKey(alg, spki)
    for alg in (EDDSA, -35, -48, 0):
        with pytest.raises(FormatError):
            PublicKey(alg, good)


def test_the_algorithm_follows_from_the_key() -> None:
    for alg in (ES256, EDDSA):
        key = FeedBuilder(alg=alg).key
        assert key == public_key_of(key.spki)
        assert (kid_of(key.spki), 16) == (key.kid, len(key.kid))


WYCHEPROOF = json.loads(
    (Path(__file__).parents[2] / "vectors" / "wycheproof.json").read_text(encoding="ascii")
)


def verifies(alg: int, row: list[str]) -> bool:
    _, key, message, signature, _ = row
    try:
        PublicKey(alg, bytes.fromhex(key)).verify(bytes.fromhex(message), bytes.fromhex(signature))
    except SignatureError:
        return False
    return True


def test_edge_cases_of_ed25519_are_decided_as_wycheproof_has_them() -> None:
    wrong = [row[0] for row in WYCHEPROOF["EdDSA"] if verifies(EDDSA, row) != (row[4] == "valid")]
    assert (145, []) == (len(WYCHEPROOF["EdDSA"]), wrong)


def test_edge_cases_of_ecdsa_are_decided_as_wycheproof_has_them_but_for_high_s_and_length() -> None:
    """Refused beyond the vectors: what is not 64 bytes, and the higher S of each pair."""
    for row in WYCHEPROOF["ES256"]:
        raw = bytes.fromhex(row[3])
        ours = len(raw) == 64 and int.from_bytes(raw[32:], "big") <= P256_ORDER // 2
        assert verifies(ES256, row) == (row[4] == "valid" and ours), row[0]
    assert len(WYCHEPROOF["ES256"]) == 219


@pytest.mark.parametrize("sign", [0, 0x80])
@pytest.mark.parametrize("start", ["00", "01", "26e8958f", "c7176a70", "ec", "ed", "ee"])
def test_a_key_under_which_one_signature_holds_for_every_message_is_refused(
    start: str, sign: int
) -> None:
    points = [point for point in signing._SMALL_ORDER if point.hex().startswith(start)]
    assert points
    for point in points:
        signed = point[:31] + bytes([point[31] | sign])
        spki = bytes.fromhex("302a300506032b6570032100") + signed
        with pytest.raises(FormatError):
            PublicKey(EDDSA, spki)
