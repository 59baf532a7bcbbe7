"""Domain-separated SHA-256. Leaf and node prefixes are those of RFC 9162, section 2.1.1."""

from hashlib import sha256 as _sha256
from typing import Final

HASH_BYTES: Final = 32


def sha256(data: bytes) -> bytes:
    """SHA-256 of the bytes, 32 bytes."""
    return _sha256(data).digest()


def leaf_hash(leaf: bytes) -> bytes:
    """Hash of one leaf: SHA-256(0x00 || leaf)."""
    return _sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node: SHA-256(0x01 || left || right)."""
    return _sha256(b"\x01" + left + right).digest()


def tagged(domain: str, data: bytes) -> bytes:
    """SHA-256(domain || data); domains are ASCII, distinct and none a prefix of another."""
    return _sha256(domain.encode("ascii") + data).digest()
