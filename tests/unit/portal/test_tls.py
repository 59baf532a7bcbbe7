"""Our own authority: believed for the portal's names by a strict verifier, and for nothing else."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from portal.tls import AUTHORITY_KEY_NAME, KEY_NAME, fingerprint, own_certificate

NOW = datetime(2026, 11, 24, tzinfo=UTC)
NAMES = ("pages.yard.example", "192.0.2.7")


def check(folder: Path, subject: x509.GeneralName) -> None:
    files = own_certificate(folder, NAMES, NOW)
    assert files.authority is not None
    authority = x509.load_pem_x509_certificate(files.authority.read_bytes())
    leaf = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    # The strict verifier knows no constraints on addresses; our names are checked below.
    leaf.verify_directly_issued_by(authority)
    alternative = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert subject in list(alternative)


@pytest.mark.parametrize("subject", [x509.DNSName(NAMES[0]), x509.IPAddress(ip_address(NAMES[1]))])
def test_the_certificate_is_for_every_name_of_the_portal(
    tmp_path: Path, subject: x509.GeneralName
) -> None:
    check(tmp_path, subject)


def test_a_strict_verifier_believes_it_for_its_name_and_for_no_other(tmp_path: Path) -> None:
    files = own_certificate(tmp_path, NAMES[:1], NOW)
    assert files.authority is not None
    authority = x509.load_pem_x509_certificate(files.authority.read_bytes())
    leaf = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    policy = PolicyBuilder().store(Store([authority])).time(NOW + timedelta(days=1))
    policy.build_server_verifier(x509.DNSName(NAMES[0])).verify(leaf, [])
    with pytest.raises(VerificationError):
        policy.build_server_verifier(x509.DNSName("bank.example")).verify(leaf, [])
    held = authority.extensions.get_extension_for_class(x509.NameConstraints)
    assert held.critical
    assert [x509.DNSName(NAMES[0])] == list(held.value.permitted_subtrees or ())


def test_it_is_kept_until_it_is_nearly_over_or_the_names_change(tmp_path: Path) -> None:
    first = own_certificate(tmp_path, NAMES, NOW)
    kept = fingerprint(first.certificate)
    assert kept == fingerprint(
        own_certificate(tmp_path, NAMES, NOW + timedelta(days=300)).certificate
    )
    authority = first.authority
    assert authority is not None
    trusted = fingerprint(authority)
    later = own_certificate(tmp_path, NAMES, NOW + timedelta(days=350))
    assert kept != fingerprint(later.certificate)
    assert trusted == fingerprint(authority)  # phones need not install anything again
    own_certificate(tmp_path, (*NAMES, "other.example"), NOW)
    assert trusted != fingerprint(authority)


def test_the_keys_are_their_owners_alone(tmp_path: Path) -> None:
    own_certificate(tmp_path, NAMES, NOW)
    for name in (KEY_NAME, AUTHORITY_KEY_NAME):
        assert 0o600 == (tmp_path / name).stat().st_mode & 0o777
