"""The organisation's word on a gateway's key as an X.509 certificate, for whatever asks for one.

The chain does not: there the organisation's signed enrolment says the same. The issuer is the
party's own key, so whoever trusts that key can check the certificate.
"""

from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from consortium.errors import EnrolmentCodeError, MalformedError

DAYS_MAX: Final = 3_650
NOT_BEFORE_EARLY: Final = timedelta(hours=1)  # the gateway's clock may be behind


def certify(
    request_pem: bytes, *, key: Ed25519PrivateKey, party: str, spki: bytes, now: datetime, days: int
) -> bytes:
    """The certificate for a request, as PEM.

    spki: the key that the gateway's enrolment code names; the request must be for the same.
    Raises MalformedError, EnrolmentCodeError.
    """
    request = _request(request_pem)
    public = request.public_key()
    if not isinstance(public, ec.EllipticCurvePublicKey):
        raise MalformedError("the request is not for a P-256 key")
    asked = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if asked != spki:
        raise EnrolmentCodeError("request and enrolment code are of two different keys")
    names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    certificate = (
        x509.CertificateBuilder()
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, party[:64])]))
        .subject_name(request.subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - NOT_BEFORE_EARLY)
        .not_valid_after(now + timedelta(days=min(days, DAYS_MAX)))
        .add_extension(names.value, critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, None)
    )
    return certificate.public_bytes(Encoding.PEM)


def _request(pem: bytes) -> x509.CertificateSigningRequest:
    try:
        request = x509.load_pem_x509_csr(pem)
        valid = request.is_signature_valid
    except (ValueError, InvalidSignature, UnsupportedAlgorithm) as error:
        raise MalformedError(f"not a certificate request: {error}") from error
    if not valid:
        raise MalformedError("the request is not signed by the key that it is for")
    return request
