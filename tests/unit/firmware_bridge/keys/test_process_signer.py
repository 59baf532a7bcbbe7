"""A signer whose child answers wrongly: nothing wrong leaves."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from firmware_bridge.errors import KeyMissingError, SignerFaultError, SignerUnavailableError
from firmware_bridge.keys import wire
from firmware_bridge.keys.info import SignerInfo
from firmware_bridge.keys.process_signer import ProcessSigner
from ledger.canonical import encode
from ledger.signing import EDDSA, PublicKey

INFO = SignerInfo(backend="pkcs11", hardware=False, never_extractable=True, label="x")


class Child:
    def __init__(self, answer: object) -> None:
        self.answer = answer

    async def ask(self, *_request: object) -> list[Any]:
        return [self.answer]


def signer_with(answer: object) -> tuple[ProcessSigner, ed25519.Ed25519PrivateKey]:
    private = ed25519.Ed25519PrivateKey.generate()
    spki = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    child: Any = Child(answer)
    return ProcessSigner(child, PublicKey(EDDSA, spki), INFO), private


@pytest.mark.parametrize("answer", [bytes(64), bytes(63), b"", None, "x" * 64])
async def test_a_signature_that_does_not_verify_never_leaves(answer: object) -> None:
    signer, _ = signer_with(answer)
    with pytest.raises(SignerFaultError):
        await signer.sign(b"tbs")


async def test_another_keys_signature_never_leaves() -> None:
    other = ed25519.Ed25519PrivateKey.generate().sign(b"tbs")
    signer, private = signer_with(other)
    with pytest.raises(SignerFaultError):
        await signer.sign(b"tbs")
    good, _ = signer_with(None)
    good._child.answer = private.sign(b"tbs")  # type: ignore[attr-defined]  # the fake child
    good._key = signer._key
    assert private.sign(b"tbs") == await good.sign(b"tbs")


def test_errors_cross_the_pipe_by_name() -> None:
    body = wire.frame(wire.error_message(KeyMissingError("no key")))[4:]
    with pytest.raises(KeyMissingError, match="no key"):
        wire.answer(body)


@pytest.mark.parametrize("message", [[], ["ok2"], ["NoSuchError", "x"], 5, ["KeyMissingError", 5]])
def test_an_answer_out_of_form_reads_as_unavailable(message: object) -> None:
    with pytest.raises(SignerUnavailableError):
        wire.answer(encode(message))


def test_a_length_beyond_the_limit_is_refused_before_it_is_read() -> None:
    with pytest.raises(SignerUnavailableError):
        wire.body_length(b"\xff\xff\xff\xff")
