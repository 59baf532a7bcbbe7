"""Legal ids of organisations: the scheme's name and the number, check digits tested where known.

LEI: ISO 17442, 20 characters, check by ISO 7064 MOD 97-10. USCC: GB 32100-2015, 18 characters, MOD
31 with weights 3^i. Any other scheme is a name of capitals, digits and dashes with a printable
number, taken as it stands.
"""

import re
from typing import Final

from consortium.app.refusal import Code, Refused

USCC_ALPHABET: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_SCHEME: Final = re.compile(r"[A-Z][A-Z0-9-]{1,15}")
_NUMBER: Final = re.compile(r"[!-~]([ -~]{0,62}[!-~])?")
_LEI: Final = re.compile(r"[0-9A-Z]{18}[0-9]{2}")


def is_lei(number: str) -> bool:
    """Whether this is a legal entity identifier with the right check digits."""
    if not _LEI.fullmatch(number):
        return False
    return int("".join(str(int(character, 36)) for character in number)) % 97 == 1


def is_uscc(number: str) -> bool:
    """Whether this is a unified social credit code with the right check character."""
    places = [USCC_ALPHABET.find(character) for character in number]
    if len(places) != 18 or min(places) < 0:
        return False
    total = sum(place * pow(3, index, 31) for index, place in enumerate(places[:17]))
    return places[17] == -total % 31


def require_legal_id(scheme: str, number: str) -> None:
    """Refuses a scheme or number out of form, or with wrong check digits."""
    if not _SCHEME.fullmatch(scheme) or not _NUMBER.fullmatch(number):
        raise Refused(Code.LEGAL_ID_WRONG, "scheme or number out of form")
    if (scheme == "LEI" and not is_lei(number)) or (scheme == "USCC" and not is_uscc(number)):
        raise Refused(Code.LEGAL_ID_WRONG, f"{number} is no {scheme}: its check digits are wrong")
