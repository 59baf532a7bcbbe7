"""RFC 3161: asking an authority for a stamp, and judging one. Only the asking uses a network."""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID
from rfc3161_client import (
    PKIStatus,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from logistics.deposit import TEXT_BYTES_MAX, TOKEN_BYTES_MAX, Deposit, Stamp, StampFound

TIMEOUT_S: Final = 20.0
_DIGESTS: Final = {
    "2.16.840.1.101.3.4.2.1": hashlib.sha256,
    "2.16.840.1.101.3.4.2.2": hashlib.sha384,
    "2.16.840.1.101.3.4.2.3": hashlib.sha512,
}
QUERY_TYPE: Final = "application/timestamp-query"


def stamp_of(
    authority: str, message: bytes, *, asked_ms: int, timeout_s: float = TIMEOUT_S
) -> Stamp:
    """The authority's stamp over the message, or the failure in words: never raises for its sake.

    authority: an http or https address that speaks RFC 3161, section 3.4.
    """
    asked = (
        TimestampRequestBuilder().data(message).nonce(nonce=True).cert_request(cert_request=True)
    )
    query = asked.build()
    try:
        answer = _posted(authority, query.as_bytes(), timeout_s)
        response = decode_timestamp_response(answer)
        problem = _problem(response, message)
        if problem is None and response.tst_info.nonce != query.nonce:
            problem = "the answer is not to this question"
    except (OSError, ValueError) as error:
        answer, problem = b"", f"{type(error).__name__}: {error}"
    if problem is not None:
        return Stamp(authority=authority, asked_ms=asked_ms, token=None, failure=_short(problem))
    return Stamp(authority=authority, asked_ms=asked_ms, token=answer)


def _posted(authority: str, query: bytes, timeout_s: float) -> bytes:
    if not authority.startswith(("https://", "http://")):
        raise ValueError("no http address")
    request = urllib.request.Request(  # noqa: S310  # its scheme was checked
        authority, data=query, headers={"Content-Type": QUERY_TYPE}
    )
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as reply:  # noqa: S310  # as above
            answer: bytes = reply.read(TOKEN_BYTES_MAX + 1)
    except urllib.error.HTTPError as error:
        raise ValueError(f"the authority answered {error.code}") from error
    if len(answer) > TOKEN_BYTES_MAX:
        raise ValueError(f"an answer of more than {TOKEN_BYTES_MAX} bytes")
    return answer


def _short(text: str) -> str:
    return text.encode()[:TEXT_BYTES_MAX].decode(errors="ignore") or "no reason given"


def stamps_found(deposit: Deposit, roots: Sequence[x509.Certificate]) -> list[StampFound]:
    """What each stamp is worth, in their order. roots: what the reader trusts; may be none."""
    return [
        _found(stamp, deposit.message(index), roots) for index, stamp in enumerate(deposit.stamps)
    ]


def _found(stamp: Stamp, message: bytes, roots: Sequence[x509.Certificate]) -> StampFound:
    found = StampFound(authority=stamp.authority, stamped_ms=None, signer=None)
    if stamp.token is None:
        return replace(found, problem=stamp.failure)
    try:
        response = decode_timestamp_response(stamp.token)
        made, signer = response.tst_info.gen_time, _signer(response)
    except ValueError as error:
        return replace(found, problem=f"no time stamp: {error}")
    found = replace(found, stamped_ms=int(made.timestamp() * 1000), signer=signer)
    problem = _problem(response, message)
    if problem is not None or not roots:
        return replace(found, problem=problem)
    doubt = _doubt(response, message, roots)
    return replace(found, vouched=doubt is None, doubt=doubt)


def _problem(response: TimeStampResponse, message: bytes) -> str | None:
    """Why the stamp is not one of this message; its signature is not asked here."""
    if PKIStatus(response.status) != PKIStatus.GRANTED:
        return "the authority did not grant it"
    imprint = response.tst_info.message_imprint
    digest = _DIGESTS.get(imprint.hash_algorithm.dotted_string)
    if digest is None:
        return "a digest that is not known here"
    if imprint.message != digest(message).digest():
        return "the stamp is of something else"
    return None


def _doubt(
    response: TimeStampResponse, message: bytes, roots: Sequence[x509.Certificate]
) -> str | None:
    """Why these roots do not vouch for the stamp; None where they do."""
    builder = VerifierBuilder()
    for root in roots:
        builder = builder.add_root_certificate(root)
    try:
        own = [x509.load_der_x509_certificate(data) for data in response.signed_data.certificates]
        for certificate in own:
            if certificate.issuer != certificate.subject:
                builder = builder.add_intermediate_certificate(certificate)
        builder.build().verify_message(response, message)
    except (VerificationError, ValueError) as error:
        return str(error).partition(" ErrorStack")[0]
    return None


def _signer(response: TimeStampResponse) -> str | None:
    for data in response.signed_data.certificates:
        certificate = x509.load_der_x509_certificate(data)
        for info in response.signed_data.signer_infos:
            if certificate.serial_number == info.serial_number:
                names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
                return str(names[0].value) if names else certificate.subject.rfc4514_string()
    return None
