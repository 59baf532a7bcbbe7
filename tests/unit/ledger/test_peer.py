"""Who is let in: each part of a hello that is not right is refused by its name."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from consortium.tls import make_certificate
from gateway.passport import load_certificate, sign_proof
from ledger.errors import FormatError, InputError, PeerRefusedError
from ledger.hashing import sha256
from ledger.peer import (
    EARLY_S_MAX,
    LIFE_S_MAX,
    PEER_EXPIRED,
    PEER_REVOKED,
    PEER_UNKNOWN,
    PEER_UNPROVEN,
    ROLE_GATEWAY,
    Credential,
    Standing,
    check_hello,
    decode_credential,
    proof_statement,
)
from tests.fakes.gateway_parts import MemorySigner

NOW_S = int(datetime.now(UTC).timestamp())
FEED_ID, SERVER, NONCE = b"f" * 16, sha256(b"the server's certificate"), b"n" * 32
SIGNER = MemorySigner()


class Told:
    """A certificate with its key, and the credential over it."""

    def __init__(self, folder: Path) -> None:
        make_certificate(folder / "c.pem", folder / "k.pem", datetime.now(UTC))
        self.certificate, self.key = load_certificate(folder / "c.pem", folder / "k.pem")
        self.credential = Credential(
            alg=SIGNER.alg,
            kid=SIGNER.kid,
            role=ROLE_GATEWAY,
            id=FEED_ID,
            certificate_digest=sha256(self.certificate),
            from_s=NOW_S,
            until_s=NOW_S + 1000,
        )

    def hello(self, **changed: Any) -> dict[str, Any]:
        statement = proof_statement(SERVER, NONCE, sha256(self.certificate))
        parts = {
            "credential": signed(self.credential),
            "certificate": self.certificate,
            "proof": sign_proof(self.key, statement),
            "server_digest": SERVER,
            "nonce": NONCE,
            "standing": lambda *_: Standing(SIGNER.public),
            "now_s": NOW_S,
        }
        return parts | changed


def signed(credential: Credential, signer: MemorySigner = SIGNER) -> bytes:
    return asyncio.run(credential.signed(signer))


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    return Told(tmp_path_factory.mktemp("peer"))


def refused(code: int, parts: dict[str, Any]) -> None:
    with pytest.raises(PeerRefusedError) as raised:
        check_hello(**parts)
    assert (code, FEED_ID) == (raised.value.code, raised.value.peer_id), str(raised.value)


def test_a_peer_that_proves_it_holds_certificate_and_ledger_key_is_known(told: Told) -> None:
    assert (ROLE_GATEWAY, FEED_ID) == check_hello(**told.hello())


def test_the_unknown_the_revoked_and_the_expired_are_refused_by_name(told: Told) -> None:
    refused(PEER_UNKNOWN, told.hello(standing=lambda *_: Standing(None)))
    refused(PEER_REVOKED, told.hello(standing=lambda *_: Standing(SIGNER.public, is_ended=True)))
    refused(PEER_EXPIRED, told.hello(now_s=NOW_S + 1001))
    refused(PEER_EXPIRED, told.hello(now_s=NOW_S - EARLY_S_MAX - 1))
    assert check_hello(**told.hello(now_s=NOW_S + 1000))
    assert check_hello(**told.hello(now_s=NOW_S - EARLY_S_MAX))


def test_a_certificate_that_ended_is_refused_though_its_credential_did_not(told: Told) -> None:
    year_s = 366 * 86_400
    late = replace(told.credential, from_s=NOW_S + 21 * year_s, until_s=NOW_S + 22 * year_s)
    refused(PEER_EXPIRED, told.hello(credential=signed(late), now_s=NOW_S + 21 * year_s))


def test_a_proof_holds_on_its_own_channel_only(told: Told) -> None:
    """Who stands between has another certificate; who recorded it, another nonce."""
    refused(PEER_UNPROVEN, told.hello(server_digest=sha256(b"another server")))
    refused(PEER_UNPROVEN, told.hello(nonce=b"m" * 32))
    refused(PEER_UNPROVEN, told.hello(proof=bytes(64)))


def test_a_stolen_credential_is_worth_nothing_without_the_certificates_key(
    told: Told, tmp_path: Path
) -> None:
    thief = Told(tmp_path)
    refused(PEER_UNPROVEN, told.hello(certificate=thief.certificate))
    stolen = {"credential": signed(told.credential)}
    refused(PEER_UNPROVEN, thief.hello(**stolen))
    own = proof_statement(SERVER, NONCE, sha256(told.certificate))
    refused(PEER_UNPROVEN, told.hello(proof=sign_proof(thief.key, own)))


def test_only_the_present_ledger_key_vouches(told: Told) -> None:
    other = MemorySigner("another")
    refused(PEER_UNPROVEN, told.hello(standing=lambda *_: Standing(other.public)))
    refused(PEER_UNPROVEN, told.hello(credential=signed(told.credential, other)))
    claimed = replace(told.credential, kid=other.kid)
    refused(PEER_UNPROVEN, told.hello(credential=signed(claimed, other)))


def test_a_credential_reads_back_as_it_was_made(told: Told) -> None:
    assert told.credential == decode_credential(signed(told.credential))[0]


@pytest.mark.parametrize(
    "changed",
    [
        {"role": 3},
        {"id": b"short"},
        {"certificate_digest": b"short"},
        {"from_s": -1},
        {"until_s": NOW_S - 1},
        {"until_s": NOW_S + LIFE_S_MAX + 1},
    ],
)
def test_a_credential_of_a_wrong_form_is_no_credential(told: Told, changed: dict[str, Any]) -> None:
    with pytest.raises(FormatError):
        decode_credential(signed(replace(told.credential, **changed)))


def test_a_certificate_of_another_kind_is_refused(told: Told) -> None:
    with pytest.raises(InputError):
        check_hello(**told.hello(certificate=b"no certificate"))


@settings(max_examples=60)
@given(data=st.binary(max_size=300))
def test_noise_is_refused_and_breaks_nothing(data: bytes) -> None:
    with pytest.raises(InputError):
        decode_credential(data)
    with pytest.raises(InputError):
        decode_credential(b"\xd2" + data)


def test_the_certificates_key_is_on_p256(told: Told) -> None:
    assert isinstance(told.key.curve, ec.SECP256R1)
