"""RFC 9052: shape and the example of appendix C.2.1."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ledger.cose import sig_structure, sign1_decode, sign1_encode
from ledger.errors import InputError, SignatureError
from ledger.signing import ES256, PublicKey, low_s

# RFC 9052, appendix C.2.1, and its key "11" from appendix C.7.1.
EXAMPLE = bytes.fromhex(
    "d28443a10126a10442313154546869732069732074686520636f6e74656e742e58408eb33e4ca31d1c465ab05aac34"
    "cc6b23d58fef5c083106c4d25a91aef0b0117e2af9a291aa32e14ab834dc56ed2a223444547e01f11d3b0916e5a4c3"
    "45cacb36"
)
KEY = ec.EllipticCurvePublicNumbers(
    int("bac5b11cad8f99f9c72b05cf4b9e26d244dc189f745228255a219a86d6a09eff", 16),
    int("20138bf82dc1b6d562be0fa54ab7804a3a64b6d72ccfed6b6fb6ed28bbfc117e", 16),
    ec.SECP256R1(),
).public_key()
SPKI = KEY.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def test_the_rfcs_example_is_read_and_its_signature_verifies() -> None:
    parts = sign1_decode(EXAMPLE)
    assert ({1: -7}, {4: b"11"}, b"This is the content.") == (
        parts.protected_map,
        parts.unprotected,
        parts.payload,
    )
    assert parts.payload is not None
    tbs = sig_structure(parts.protected, parts.payload)
    assert "846a5369676e61747572653143a101264054" + parts.payload.hex() == tbs.hex()
    r, s = parts.signature[:32], parts.signature[32:]
    der = encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))
    KEY.verify(der, tbs, ec.ECDSA(SHA256()))
    PublicKey(ES256, SPKI).verify(tbs, low_s(parts.signature))
    with pytest.raises(SignatureError):
        PublicKey(ES256, SPKI).verify(tbs + b"\x00", low_s(parts.signature))


def test_what_is_written_is_the_rfcs_form() -> None:
    parts = sign1_decode(EXAMPLE)
    assert EXAMPLE == sign1_encode(
        protected=parts.protected,
        unprotected=parts.unprotected,
        payload=parts.payload,
        signature=parts.signature,
    )
    detached = sign1_encode(protected=b"\xa0", payload=None, signature=bytes(64))
    assert sign1_decode(detached).payload is None


@pytest.mark.parametrize(
    "text",
    [
        "", "8440a0f640", "d1" + "8440a0f640", "d28340a0f6", "d28540a0f64000", "d284" + "a0a0f640",
        "d28440" + "80f640", "d28440a0" + "6161" + "40", "d28440a0f6" + "f6", "d28441" + "80a0f640",
        "d28440a0f640", "d28441a0a0f640" + "00", "d2" + "9f41a0a0f640ff", "d20000",
    ],
)  # fmt: skip
def test_other_shapes_are_refused(text: str) -> None:
    with pytest.raises(InputError):
        sign1_decode(bytes.fromhex(text))
