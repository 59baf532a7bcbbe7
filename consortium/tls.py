"""The chain machine's certificate: self-signed, made once, pinned by its SHA-256.

There is no authority to ask: the enrolment answer carries the digest, and a client refuses any
other certificate. The name in it never changes, so a machine may move to another address.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from consortium.errors import ConfigError
from consortium.file_keys import write_private
from consortium.wire import TLS_NAME

VALID_YEARS = 20


def make_certificate(certificate_path: Path, key_path: Path, now: datetime) -> bytes:
    """Writes a new certificate and its P-256 key; returns the certificate's SHA-256 (of its
    DER).
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, TLS_NAME)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now.astimezone(UTC) - timedelta(days=1))
        .not_valid_after(now.astimezone(UTC) + timedelta(days=365 * VALID_YEARS))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(TLS_NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_private(key_path, private)
    write_private(certificate_path, certificate.public_bytes(Encoding.PEM))
    return certificate.fingerprint(SHA256())


def certificate_digest(pem: bytes) -> bytes:
    """SHA-256 of the one certificate in a PEM file; raises ConfigError."""
    try:
        certificates = x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise ConfigError(f"not a PEM certificate: {error}") from error
    if len(certificates) != 1:
        raise ConfigError(f"{len(certificates)} certificates in the file, not one")
    return certificates[0].fingerprint(SHA256())


def check_pinned(pem: bytes, digest: bytes) -> None:
    """Raises ConfigError unless the PEM holds exactly the certificate with this digest."""
    if certificate_digest(pem) != digest:
        raise ConfigError("the certificate is not the one that enrolment named; fetch it again")
