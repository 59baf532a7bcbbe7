"""Keys on a token behind the signer process: what it promises when all goes well and when it does
not. The same for every module.
"""

import asyncio
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_der_public_key

from firmware_bridge.errors import (
    DevelopmentKeyError,
    KeyExistsError,
    KeyMissingError,
    PinRejectedError,
    SignerUnavailableError,
    SpecError,
)
from firmware_bridge.keys import pkcs11_binding as p11
from firmware_bridge.keys.process_signer import SignerChild
from firmware_bridge.keys.registry import create_key, open_signer
from ledger.signing import EDDSA, ES256, P256_ORDER, PublicKey, kid_of
from tests.integration.keys.conftest import Token

TBS = b"a Sig_structure of any length" * 20


async def make(token: Token, alg: int = ES256) -> Any:
    await create_key(token.uri("ledger"), alg=alg, development=False)
    return await open_signer(token.uri("ledger"), development=False)


async def sign_when_back(signer: Any) -> bytes:
    async with asyncio.timeout(20):
        while True:
            try:
                return bytes(await signer.sign(TBS))
            except SignerUnavailableError:
                await asyncio.sleep(0.05)


async def test_a_token_key_signs_what_its_public_key_verifies(token: Token) -> None:
    for alg in token.algorithms:
        label = f"ledger{alg}"
        await create_key(token.uri(label), alg=alg, development=False)
        signer = await open_signer(token.uri(label), development=False)
        key = PublicKey(alg, signer.public_key_der())
        for _ in range(12):  # half of all raw ES256 signatures have a high S
            signature = await signer.sign(TBS)
            key.verify(TBS, signature)
            assert alg == EDDSA or int.from_bytes(signature[32:], "big") <= P256_ORDER // 2
        assert (alg, kid_of(signer.public_key_der())) == (signer.alg, signer.kid)
        load_der_public_key(signer.public_key_der())
        assert (True, token.hardware) == (signer.info.never_extractable, signer.info.hardware)
        await signer.health()
        await signer.aclose()


async def test_the_private_key_cannot_be_read_even_by_its_owner(token: Token) -> None:
    await (await make(token)).aclose()
    module = p11.Module(token.module_path)
    session = p11.Session(module, module.find_slot("wharf"), b"1234")
    (handle,) = session.find([(p11.CKA_CLASS, p11.CKO_PRIVATE_KEY)])
    assert b"\x00" == session.attribute(handle, p11.CKA_EXTRACTABLE)
    assert b"\x01" == session.attribute(handle, p11.CKA_SENSITIVE)
    with pytest.raises(p11.TokenRefusedError):
        session.attribute(handle, p11.CKA_VALUE)
    with pytest.raises(ValueError, match="not 32"):
        session.sign(handle, p11.CKM_ECDSA, b"x" * 200)
    session.close()


async def test_eight_threads_sign_with_sessions_of_their_own(token: Token) -> None:
    signer = await make(token)
    key = PublicKey(ES256, signer.public_key_der())
    module = p11.Module(token.module_path)
    module.reinitialize()
    slot, digest = module.find_slot("wharf"), bytes(range(32))
    done: list[bytes] = []

    def work() -> None:
        session = p11.Session(module, slot, b"1234")
        (handle,) = session.find([(p11.CKA_CLASS, p11.CKO_PRIVATE_KEY)])
        done.extend(session.sign(handle, p11.CKM_ECDSA, digest) for _ in range(25))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 200 == len(set(done))
    assert key.alg == ES256
    await signer.aclose()


async def test_a_wrong_pin_is_tried_once_and_never_again(token: Token) -> None:
    await (await make(token)).aclose()
    token.pin_path.write_text("9999")
    child = SignerChild(token.uri("ledger"))
    with pytest.raises(PinRejectedError):
        await child.ask("facts")
    # Even with the right PIN in place nothing is tried: somebody has to look first.
    token.pin_path.write_text("1234")
    for _ in range(3):
        with pytest.raises(PinRejectedError):
            await child.ask("sign", TBS)
    assert child.pid is None
    token.pin_path.write_text("9999")
    with pytest.raises(PinRejectedError):
        await open_signer(token.uri("ledger"), development=False)


async def test_a_token_that_vanishes_and_returns_signs_again(token: Token) -> None:
    signer = await make(token)
    token.take_away()
    for _ in range(3):
        with pytest.raises(SignerUnavailableError):
            await signer.sign(TBS)
    token.bring_back()
    PublicKey(ES256, signer.public_key_der()).verify(TBS, await sign_when_back(signer))
    await signer.aclose()


async def test_a_killed_signer_process_is_replaced(token: Token) -> None:
    signer = await make(token)
    old = signer.child_pid
    os.kill(old, signal.SIGKILL)
    assert await sign_when_back(signer)
    assert old != signer.child_pid
    await signer.aclose()


async def test_a_signer_that_hangs_is_killed_after_its_time(token: Token) -> None:
    await (await make(token)).aclose()
    signer = await open_signer(token.uri("ledger"), development=False, timeout_s=1.0)
    old: int = signer.child_pid  # type: ignore[attr-defined]  # only the process signer has one
    os.kill(old, signal.SIGSTOP)
    with pytest.raises(SignerUnavailableError, match="no answer"):
        await signer.sign(TBS)
    with pytest.raises(ProcessLookupError):
        os.kill(old, 0)
    assert await sign_when_back(signer)
    await signer.aclose()


async def test_a_cancelled_signature_is_not_given_to_the_next_caller(token: Token) -> None:
    signer = await make(token)
    first = asyncio.create_task(signer.sign(b"first"))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    PublicKey(ES256, signer.public_key_der()).verify(TBS, await sign_when_back(signer))
    await signer.aclose()


async def test_the_pin_is_in_no_argument_and_no_variable_of_the_process(token: Token) -> None:
    token.pin_path.write_text("1234")
    signer = await make(token)
    proc = Path(f"/proc/{signer.child_pid}")
    assert b"firmware_bridge.keys.signer_process" in (proc / "cmdline").read_bytes()
    assert b"1234" not in (proc / "cmdline").read_bytes()
    assert b"PIN" not in (proc / "environ").read_bytes()
    await signer.aclose()


async def test_names_that_lead_nowhere_are_told_apart(token: Token) -> None:
    with pytest.raises(KeyMissingError):
        await open_signer(token.uri("nobody"), development=False)
    other = token.uri("ledger").replace("token=wharf", "token=other")
    with pytest.raises(SignerUnavailableError, match="no token"):
        await open_signer(other, development=False)
    with pytest.raises(SignerUnavailableError, match="cannot load"):
        await open_signer(
            token.uri("ledger").replace(token.module_path, "/no/such.so"), development=False
        )
    with pytest.raises(SpecError):
        await open_signer("tpm2:0x81000001", development=False)


async def test_no_key_is_made_over_another(token: Token) -> None:
    await (await make(token)).aclose()
    with pytest.raises(KeyExistsError):
        await create_key(token.uri("ledger"), alg=ES256, development=False)


@pytest.mark.parametrize("alg", [ES256, EDDSA])
async def test_a_key_file_signs_in_development_and_is_refused_elsewhere(
    tmp_path: Path, alg: int
) -> None:
    uri = f"file:{tmp_path}/key.pem"
    with pytest.raises(DevelopmentKeyError):
        await create_key(uri, alg=alg, development=False)
    await create_key(uri, alg=alg, development=True)
    assert 0o600 == (tmp_path / "key.pem").stat().st_mode & 0o777
    with pytest.raises(KeyExistsError):
        await create_key(uri, alg=alg, development=True)
    with pytest.raises(DevelopmentKeyError):
        await open_signer(uri, development=False)
    signer = await open_signer(uri, development=True)
    PublicKey(alg, signer.public_key_der()).verify(TBS, await signer.sign(TBS))
    assert ("file", False) == (signer.info.backend, signer.info.hardware)
