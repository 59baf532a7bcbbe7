"""GS1 check digits. What an RFID tag says: `logistics.epc`."""

from logistics.errors import IdentifierError


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
