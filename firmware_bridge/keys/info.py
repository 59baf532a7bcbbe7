"""What is known of a signer beside its key."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SignerInfo:
    """For status pages, enrolment and verdicts ("development key")."""

    backend: str  # "pkcs11" or "file"
    hardware: bool
    never_extractable: bool | None  # None: the holder does not say
    label: str
