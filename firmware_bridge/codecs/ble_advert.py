"""Bluetooth advertisements as the air carries them: length, type, value, again and again.

Source: Bluetooth Core Supplement, part A. A scanner that gives manufacturer and service data apart
is put back into this form, so that recordings and radios look alike.
"""

from collections.abc import Iterator, Mapping
from typing import Final

MANUFACTURER: Final = 0xFF
SERVICE_DATA_16: Final = 0x16


def structures(advert: bytes) -> Iterator[tuple[int, bytes]]:
    """(type, value) of each structure; ends quietly where one is cut off."""
    at = 0
    while at + 1 < len(advert):
        size = advert[at]
        if size == 0 or at + 1 + size > len(advert):
            return
        yield advert[at + 1], advert[at + 2 : at + 1 + size]
        at += 1 + size


def find(advert: bytes, kind: int, prefix: bytes) -> bytes | None:
    """What follows the prefix in the first structure of that type that begins with it."""
    for found, value in structures(advert):
        if found == kind and value.startswith(prefix):
            return value[len(prefix) :]
    return None


def advert(manufacturer: Mapping[int, bytes], service_16: Mapping[int, bytes]) -> bytes:
    """The advertisement that holds these; what does not fit a structure is left out."""
    pieces = [(MANUFACTURER, name, value) for name, value in manufacturer.items()]
    pieces += [(SERVICE_DATA_16, name, value) for name, value in service_16.items()]
    return b"".join(
        bytes((len(value) + 3, kind)) + name.to_bytes(2, "little") + value
        for kind, name, value in pieces
        if len(value) <= 252
    )
