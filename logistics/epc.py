"""What the EPC of an RFID tag says, and back: tag bits to URIs (EPC Tag Data Standard 1.13).

Decoded: SGTIN, SSCC, SGLN, GRAI, GIAI, GSRN, GSRNP, GDTI, CPI, SGCN, GID and USDoD in 96 bits, and
SGTIN-198. An EPC of another scheme, or one that a check finds wrong, stays raw hexadecimal: it is
still a sighting, and a reader in a dock door sees many that are not goods. Nothing raises on tag
content.
`3074257BF7194E4000001A85` is `urn:epc:tag:sgtin-96:3.0614141.812345.6789`.
"""

import re
from dataclasses import dataclass
from typing import Final

from logistics.epc_schemes import (
    BY_HEADER,
    BY_NAME,
    COMPANY,
    HEADER_GID_96,
    HEADER_USDOD_96,
    PREFIX_BITS,
    Key,
    Scheme,
    Tail,
)
from logistics.errors import IdentifierError
from logistics.identifiers import gs1_check_digit

# Set: an ISO application family identifier, not an EPC header, comes first.
_PC_TOGGLE: Final = 0x0100
_TEXT_CHARACTERS: Final = 20
_TEXT = re.compile(r"[!\"%-?A-Z_a-z]{1,20}\Z", re.ASCII)  # GS1's 82 characters
_ESCAPED: Final = frozenset('"%&/<>?')  # as %XX in a URI (TDS, table 5-1)
_CAGE = re.compile(r"[0-9A-HJ-NP-Z]{5,6}\Z", re.ASCII)
_INTEGER = re.compile(r"(?:0|[1-9][0-9]*)\Z", re.ASCII)
_DIGITS = re.compile(r"[0-9]*\Z", re.ASCII)
_GID_BITS: Final = (28, 24, 36)
_SERIAL_BITS: Final = 36  # of USDoD-96


@dataclass(frozen=True, slots=True, kw_only=True)
class Epc:
    """What a tag says: its URIs, and the GS1 key with check digit where it has one."""

    scheme: str  # as in the pure identity URI: "sgtin", "sscc", ... or "raw"
    pure_uri: str  # the identity; for "raw" the hexadecimal form
    tag_uri: str  # the identity with the filter value
    filter_value: int | None = None
    key: str | None = None  # GTIN-14, SSCC-18, GLN-13, ...
    serial: str | None = None

    @property
    def gtin(self) -> str | None:
        """The GTIN-14, of trade items only."""
        return self.key if self.scheme == "sgtin" else None

    @property
    def sscc(self) -> str | None:
        """The SSCC-18, of logistic units only."""
        return self.key if self.scheme == "sscc" else None


def decode_epc(epc: bytes, pc: int | None = None) -> Epc:
    """What the EPC bytes of a tag mean; `pc` is its protocol control word where known.

    SGTIN-198 is taken in 25 bytes and in the 26 that whole words make of it.
    """
    is_iso = pc is not None and bool(pc & _PC_TOGGLE)
    decoded = None if is_iso or not epc else _decoded(epc)
    if decoded is not None:
        return decoded
    raw = f"urn:epc:raw:{8 * len(epc)}.x{epc.hex().upper()}"
    return Epc(scheme="raw", pure_uri=raw, tag_uri=raw)


def _decoded(epc: bytes) -> Epc | None:
    if len(epc) == 12 and epc[0] == HEADER_GID_96:
        return _gid(int.from_bytes(epc, "big"))
    if len(epc) == 12 and epc[0] == HEADER_USDOD_96:
        return _usdod(epc)
    scheme = BY_HEADER.get(epc[0])
    if scheme is None:
        return None
    padding = 8 * len(epc) - scheme.bits
    # Memory comes in words of 16 bits, so up to 15 zero bits may follow.
    if not 0 <= padding < 16 or (scheme.bits % 8 == 0 and padding):
        return None
    bits = int.from_bytes(epc, "big")
    return None if bits & (1 << padding) - 1 else _keyed(scheme, bits >> padding)


def _keyed(scheme: Scheme, bits: int) -> Epc | None:
    """The meaning of a scheme with a company prefix; None where a field overflows."""
    partition = bits >> scheme.bits - PREFIX_BITS & 7
    if partition >= len(COMPANY):
        return None
    company_bits, company_digits = COMPANY[partition]
    shared = bits >> scheme.tail_bits & (1 << scheme.shared_bits) - 1
    reference_bits = scheme.shared_bits - company_bits
    company = _padded(shared >> reference_bits, company_digits)
    reference = _reference(scheme, shared & (1 << reference_bits) - 1, company_digits)
    tail = _tail(scheme, bits & (1 << scheme.tail_bits) - 1)
    if company is None or reference is None or tail is None:
        return None
    return _epc(scheme, bits >> scheme.bits - 11 & 7, [company, reference, *tail])


def _epc(scheme: Scheme, filter_value: int, parts: list[str]) -> Epc:
    name = ".".join(parts)
    return Epc(
        scheme=scheme.identity,
        pure_uri=f"urn:epc:id:{scheme.identity}:{name}",
        tag_uri=f"urn:epc:tag:{scheme.name}:{filter_value}.{name}",
        filter_value=filter_value,
        key=_key(scheme, parts[0], parts[1]),
        serial=_unescaped(parts[2]) if len(parts) > 2 else None,
    )


def _padded(number: int, digits: int) -> str | None:
    """The number in so many digits; None if it has more, which the bits would allow."""
    text = f"{number:0{digits}}" if digits or number else ""
    return text if len(text) == digits else None


def _reference(scheme: Scheme, number: int, company_digits: int) -> str | None:
    if scheme.shared_digits is None:
        return str(number)
    return _padded(number, scheme.shared_digits - company_digits)


def _tail(scheme: Scheme, bits: int) -> list[str] | None:
    """The tail's parts in a URI: none or one; None where it is no legal tail."""
    match scheme.tail:
        case Tail.NOTHING | Tail.RESERVED:
            return None if bits else []
        case Tail.INTEGER:
            return [str(bits)]
        case Tail.DIGITS:
            text = str(bits)
            return [text[1:]] if text[0] == "1" and len(text) > 1 else None
        case Tail.TEXT:
            return _text(bits)


def _text(bits: int) -> list[str] | None:
    octets = [bits >> 7 * place & 127 for place in reversed(range(_TEXT_CHARACTERS))]
    text = bytes(octets).rstrip(b"\x00").decode("ascii")
    return [_escaped(text)] if _TEXT.match(text) else None


def _escaped(text: str) -> str:
    return "".join(f"%{ord(char):02X}" if char in _ESCAPED else char for char in text)


def _unescaped(text: str) -> str:
    return re.sub("%([0-9A-F]{2})", lambda match: chr(int(match[1], 16)), text)


def _key(scheme: Scheme, company: str, reference: str) -> str:
    match scheme.key:
        case Key.UNCHECKED:
            return company + reference
        case Key.INDICATOR_FIRST:
            digits = reference[0] + company + reference[1:]
        case Key.IN_ORDER:
            digits = company + reference
        case Key.ZERO_FIRST:
            digits = "0" + company + reference
    return digits + gs1_check_digit(digits)


def _gid(bits: int) -> Epc:
    manager, item, serial = bits >> 60 & (1 << 28) - 1, bits >> 36 & (1 << 24) - 1, bits
    name = f"{manager}.{item}.{serial & (1 << 36) - 1}"
    return Epc(
        scheme="gid",
        pure_uri=f"urn:epc:id:gid:{name}",
        tag_uri=f"urn:epc:tag:gid-96:{name}",
        serial=str(serial & (1 << 36) - 1),
    )


def _usdod(epc: bytes) -> Epc | None:
    bits = int.from_bytes(epc, "big")
    code = (bits >> _SERIAL_BITS & (1 << 48) - 1).to_bytes(6, "big").decode("latin-1")
    # A CAGE code has five characters; a space fills the sixth place.
    code = code.removeprefix(" ")
    if _CAGE.match(code) is None:
        return None
    filter_value, serial = bits >> 84 & 15, str(bits & (1 << _SERIAL_BITS) - 1)
    return Epc(
        scheme="usdod",
        pure_uri=f"urn:epc:id:usdod:{code}.{serial}",
        tag_uri=f"urn:epc:tag:usdod-96:{filter_value}.{code}.{serial}",
        filter_value=filter_value,
        serial=serial,
    )


def encode_epc(tag_uri: str) -> bytes:
    """The bits of a tag URI, as whole bytes: 12, or 26 for SGTIN-198. Raises IdentifierError."""
    name, _, rest = tag_uri.removeprefix("urn:epc:tag:").partition(":")
    scheme = BY_NAME.get(name)
    if not tag_uri.startswith("urn:epc:tag:") or len(tag_uri) > 120:
        raise IdentifierError(f"not a tag URI: {tag_uri[:40]!r}")
    if name == "gid-96":
        return _encode_gid(rest)
    if name == "usdod-96":
        return _encode_usdod(rest)
    if scheme is None:
        raise IdentifierError(f"unknown scheme: {name[:20]!r}")
    count = 4 if scheme.tail in (Tail.INTEGER, Tail.DIGITS, Tail.TEXT) else 3
    parts = rest.split(".", count - 1)
    if len(parts) != count:
        raise IdentifierError(f"{name} has {count} parts: {rest[:40]!r}")
    return _encode_keyed(scheme, parts)


def _encode_keyed(scheme: Scheme, parts: list[str]) -> bytes:
    company, reference = parts[1], parts[2]
    partition = 12 - len(company)
    if not 0 <= partition < len(COMPANY) or _DIGITS.match(company) is None:
        raise IdentifierError(f"a company prefix has 6 to 12 digits: {company[:20]!r}")
    company_bits, company_digits = COMPANY[partition]
    bits = scheme.header << 3 | _bounded("filter value", parts[0], 3)
    bits = (bits << 3 | partition) << company_bits | int(company)
    reference_bits = scheme.shared_bits - company_bits
    if scheme.shared_digits is None:
        number = _bounded("reference", reference, reference_bits)
    else:
        digits = scheme.shared_digits - company_digits
        if len(reference) != digits or _DIGITS.match(reference) is None:
            raise IdentifierError(f"the reference has {digits} digits: {reference[:20]!r}")
        number = int(reference or "0")
    bits = (bits << reference_bits | number) << scheme.tail_bits | _tail_bits(scheme, parts[3:])
    padding = -scheme.bits % 16
    return (bits << padding).to_bytes((scheme.bits + padding) // 8, "big")


def _tail_bits(scheme: Scheme, parts: list[str]) -> int:
    if scheme.tail is Tail.DIGITS:
        if _DIGITS.match(parts[0]) is None or not 0 < len(parts[0]) <= 12:
            raise IdentifierError(f"the serial has 1 to 12 digits: {parts[0][:20]!r}")
        return int("1" + parts[0])
    if scheme.tail is Tail.TEXT:
        text = _unescaped(parts[0])
        if _TEXT.match(text) is None or _escaped(text) != parts[0]:
            raise IdentifierError(f"the serial is no text of GS1's characters: {parts[0][:40]!r}")
        packed = text.encode().ljust(_TEXT_CHARACTERS, b"\x00")
        return sum(octet << 7 * (19 - place) for place, octet in enumerate(packed))
    return _bounded("serial", parts[0], scheme.tail_bits) if parts else 0


def _bounded(what: str, text: str, bits: int) -> int:
    """The whole number of these digits; raises IdentifierError beyond so many bits."""
    if len(text) > 30 or _INTEGER.match(text) is None or int(text) >> bits:
        raise IdentifierError(f"{what} is no number of up to {bits} bits: {text[:20]!r}")
    return int(text)


def _encode_gid(rest: str) -> bytes:
    parts, bits = rest.split("."), HEADER_GID_96
    if len(parts) != len(_GID_BITS):
        raise IdentifierError(f"gid-96 has three parts: {rest[:40]!r}")
    for text, size in zip(parts, _GID_BITS, strict=True):
        bits = bits << size | _bounded("part", text, size)
    return bits.to_bytes(12, "big")


def _encode_usdod(rest: str) -> bytes:
    parts = rest.split(".")
    if len(parts) != 3 or _CAGE.match(parts[1]) is None:
        raise IdentifierError(f"usdod-96 is FILTER.CAGE.SERIAL: {rest[:40]!r}")
    bits = HEADER_USDOD_96 << 4 | _bounded("filter value", parts[0], 4)
    bits = bits << 48 | int.from_bytes(parts[1].rjust(6).encode(), "big")
    return (bits << _SERIAL_BITS | _bounded("serial", parts[2], _SERIAL_BITS)).to_bytes(12, "big")
