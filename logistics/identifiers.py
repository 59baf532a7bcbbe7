"""GS1 identifiers and what the EPC of an RFID tag says (EPC Tag Data Standard 1.x, 96 bits).

An EPC that is not SGTIN-96 or SSCC-96, or that a check finds wrong, stays raw hexadecimal: it is
still a sighting, and a reader in a dock door sees many that are not goods. Nothing here raises on
tag content.
"""

from dataclasses import dataclass
from typing import Final

from logistics.errors import IdentifierError

# Partition value -> (bits, digits) of the company prefix and of what follows it. TDS 1.13, tables
# 14-2, 14-5.
_SGTIN_PARTITIONS: Final = (
    (40, 12, 4, 1),
    (37, 11, 7, 2),
    (34, 10, 10, 3),
    (30, 9, 14, 4),
    (27, 8, 17, 5),
    (24, 7, 20, 6),
    (20, 6, 24, 7),
)
_SSCC_PARTITIONS: Final = (
    (40, 12, 18, 5),
    (37, 11, 21, 6),
    (34, 10, 24, 7),
    (30, 9, 28, 8),
    (27, 8, 31, 9),
    (24, 7, 34, 10),
    (20, 6, 38, 11),
)
_HEADER_SGTIN_96: Final = 0x30
_HEADER_SSCC_96: Final = 0x31
_PC_TOGGLE: Final = (
    0x0100  # set: an ISO application family identifier, not an EPC header, comes first
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Epc:
    """What a tag says: its URIs, and the GTIN-14 or SSCC-18 with check digit where it has one."""

    scheme: str  # "sgtin", "sscc" or "raw"
    pure_uri: str  # the identity; for "raw" the hexadecimal form
    tag_uri: str
    gtin: str | None = None
    sscc: str | None = None
    serial: str | None = None


def gs1_check_digit(digits: str) -> str:
    """The mod-10 digit that follows these digits (GS1 General Specifications, 7.9)."""
    if not (digits.isascii() and digits.isdigit()):
        raise IdentifierError(f"not digits: {digits[:20]!r}")
    total = sum(
        int(digit) * (3 if index % 2 == 0 else 1) for index, digit in enumerate(digits[::-1])
    )
    return str(-total % 10)


def require_check_digit(number: str) -> str:
    """The number itself (GTIN, SSCC, GLN) if its last digit is right; raises IdentifierError."""
    if len(number) < 8 or gs1_check_digit(number[:-1]) != number[-1]:
        raise IdentifierError(f"wrong check digit: {number[:20]!r}")
    return number


def decode_epc(epc: bytes, pc: int | None = None) -> Epc:
    """What the EPC bytes of a tag mean; `pc` is its protocol control word where known."""
    is_iso = pc is not None and bool(pc & _PC_TOGGLE)
    if len(epc) == 12 and not is_iso:
        bits = int.from_bytes(epc, "big")
        decoded = _sgtin_96(bits) if epc[0] == _HEADER_SGTIN_96 else None
        decoded = _sscc_96(bits) if epc[0] == _HEADER_SSCC_96 else decoded
        if decoded is not None:
            return decoded
    raw = f"urn:epc:raw:{8 * len(epc)}.x{epc.hex().upper()}"
    return Epc(scheme="raw", pure_uri=raw, tag_uri=raw)


def _split(bits: int, table: tuple[tuple[int, int, int, int], ...]) -> tuple[str, str, int] | None:
    """Company prefix, reference and the bits used behind the partition; None if they overflow."""
    partition = bits >> 82 & 7
    if partition >= len(table):
        return None
    company_bits, company_digits, reference_bits, reference_digits = table[partition]
    company = bits >> (82 - company_bits) & (1 << company_bits) - 1
    used = company_bits + reference_bits
    reference = bits >> (82 - used) & (1 << reference_bits) - 1
    # The fields hold more than their digits do: a larger number is no legal company or reference.
    if company >= 10**company_digits or reference >= 10**reference_digits:
        return None
    return f"{company:0{company_digits}}", f"{reference:0{reference_digits}}", used


def _sgtin_96(bits: int) -> Epc | None:
    parts = _split(bits, _SGTIN_PARTITIONS)
    if parts is None:
        return None
    company, item, used = parts
    serial = str(bits & (1 << 82 - used) - 1)
    gtin = item[0] + company + item[1:]
    name = f"{company}.{item}.{serial}"
    return Epc(
        scheme="sgtin",
        pure_uri=f"urn:epc:id:sgtin:{name}",
        tag_uri=f"urn:epc:tag:sgtin-96:{bits >> 85 & 7}.{name}",
        gtin=gtin + gs1_check_digit(gtin),
        serial=serial,
    )


def _sscc_96(bits: int) -> Epc | None:
    parts = _split(bits, _SSCC_PARTITIONS)
    if parts is None or bits & (1 << 24) - 1:  # the last 24 bits are reserved and zero
        return None
    company, serial, _ = parts
    sscc = serial[0] + company + serial[1:]
    name = f"{company}.{serial}"
    return Epc(
        scheme="sscc",
        pure_uri=f"urn:epc:id:sscc:{name}",
        tag_uri=f"urn:epc:tag:sscc-96:{bits >> 85 & 7}.{name}",
        sscc=sscc + gs1_check_digit(sscc),
    )


def encode_sgtin_96(*, company: str, item: str, serial: int, filter_value: int = 1) -> bytes:
    """The 12 bytes of an SGTIN-96; `item` starts with the indicator digit. Raises
    IdentifierError.
    """
    partition = 12 - len(company)
    if not 0 <= partition <= 6 or len(company) + len(item) != 13 or not (company + item).isdigit():
        raise IdentifierError("company prefix and item reference must have 13 digits together")
    if not 0 <= serial < 1 << 38 or not 0 <= filter_value < 8:
        raise IdentifierError("serial has up to 38 bits, filter 3")
    company_bits, _, item_bits, _ = _SGTIN_PARTITIONS[partition]
    bits = _HEADER_SGTIN_96 << 6 | filter_value << 3 | partition
    bits = bits << company_bits | int(company)
    bits = bits << item_bits | int(item)
    return (bits << 38 | serial).to_bytes(12, "big")
