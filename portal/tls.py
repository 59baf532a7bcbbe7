"""A certificate for the pages from an authority of our own, for sites without a public name.

Phones give camera, keys and offline pages to HTTPS only. The authority may sign for the portal's
own names alone (RFC 5280, 4.2.1.10), so that whoever installs it trusts it for nothing else.
"""

import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from portal.errors import HomeError

AUTHORITY_NAME: Final = "authority.pem"
AUTHORITY_KEY_NAME: Final = "authority_key.pem"
CERTIFICATE_NAME: Final = "certificate.pem"
KEY_NAME: Final = "key.pem"
AUTHORITY_YEARS: Final = 10
DAYS: Final = 397  # what browsers take at most
RENEW_DAYS: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """Where the server's certificate and key are. authority: of our own, None for files given."""

    certificate: Path
    key: Path
    authority: Path | None = None


def own_certificate(folder: Path, names: Sequence[str], now: datetime) -> TlsFiles:
    """The files for these host names and addresses; authority and certificate are made where they
    are missing, for other names, or soon over. Raises HomeError.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    files = TlsFiles(
        certificate=folder / CERTIFICATE_NAME,
        key=folder / KEY_NAME,
        authority=folder / AUTHORITY_NAME,
    )
    try:
        if not _is_for(folder / AUTHORITY_NAME, names, now, constrained=True):
            _make_authority(folder, names, now)
        if not _is_for(files.certificate, names, now, constrained=False):
            _make_certificate(folder, names, now)
    except (OSError, ValueError) as error:
        raise HomeError(f"{folder}: {error}") from error
    return files


def fingerprint(path: Path) -> str:
    """SHA-256 of a certificate, as browsers show it."""
    digest = x509.load_pem_x509_certificate(path.read_bytes()).fingerprint(SHA256())
    return digest.hex(":").upper()


def _general(names: Sequence[str], *, constrained: bool) -> list[x509.GeneralName]:
    made: list[x509.GeneralName] = []
    for name in names:
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            made.append(x509.DNSName(name))
        else:
            # A constraint names a network; the network of one address is that address.
            made.append(x509.IPAddress(ipaddress.ip_network(address) if constrained else address))
    return made


def _is_for(path: Path, names: Sequence[str], now: datetime, *, constrained: bool) -> bool:
    if not path.exists():
        return False
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    if certificate.not_valid_after_utc - now < timedelta(days=RENEW_DAYS):
        return False
    wanted = _general(names, constrained=constrained)
    if constrained:
        held = certificate.extensions.get_extension_for_class(x509.NameConstraints).value
        return set(wanted) <= set(held.permitted_subtrees or ())
    alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return set(wanted) <= set(alternative.value)


def _make_authority(folder: Path, names: Sequence[str], now: datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, f"Wharfinger pages at {names[0]}"[:64])]
    )
    permitted = _general(names, constrained=True)
    builder = (
        _builder(key, name, name, now, days=365 * AUTHORITY_YEARS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.NameConstraints(permitted, None), critical=True)
        .add_extension(_usage(signs=True), critical=True)
    )
    _write(folder / AUTHORITY_KEY_NAME, _pem(key), 0o600)
    _write(folder / AUTHORITY_NAME, builder.sign(key, SHA256()).public_bytes(Encoding.PEM), 0o644)
    (folder / CERTIFICATE_NAME).unlink(missing_ok=True)


def _make_certificate(folder: Path, names: Sequence[str], now: datetime) -> None:
    authority = x509.load_pem_x509_certificate((folder / AUTHORITY_NAME).read_bytes())
    signer = load_pem_private_key((folder / AUTHORITY_KEY_NAME).read_bytes(), None)
    if not isinstance(signer, ec.EllipticCurvePrivateKey):
        raise HomeError(f"{folder / AUTHORITY_KEY_NAME}: not a P-256 key")
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    alternative = x509.SubjectAlternativeName(_general(names, constrained=False))
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    builder = (
        _builder(key, subject, authority.subject, now, days=DAYS)
        .add_extension(issuer, critical=False)
        .add_extension(alternative, critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(_usage(signs=False), critical=True)
    )
    _write(folder / KEY_NAME, _pem(key), 0o600)
    chain = builder.sign(signer, SHA256()).public_bytes(Encoding.PEM)
    _write(folder / CERTIFICATE_NAME, chain, 0o644)


def _builder(
    key: ec.EllipticCurvePrivateKey,
    subject: x509.Name,
    issuer: x509.Name,
    now: datetime,
    *,
    days: int,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))  # a phone's clock may be behind
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write(path: Path, data: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
