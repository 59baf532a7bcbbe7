"""The code that a gateway prints and an operator admits, and what the operator gives back.

code = "wharf1-" || base64url( payload || first 4 bytes of SHA-256(payload) ), no padding
payload = [ 1, feed-id, alg, spki, genesis-leaf, gateway name, party name, level,
            [* [device-id, slot, descriptor-hash, from-ms]] ]
"""

import base64
import binascii
from dataclasses import dataclass
from typing import Any, Final

from consortium.errors import EnrolmentCodeError, MalformedError
from consortium.transaction import ID_BYTES, fields
from ledger.canonical import decode, encode
from ledger.errors import InputError
from ledger.hashing import sha256

PREFIX: Final = "wharf1-"
CHECK_BYTES: Final = 4
CODE_CHARACTERS_MAX: Final = 16_384


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentCode:
    """What a gateway says of itself. `genesis_leaf`: 16 zero bytes and the genesis entry."""

    feed_id: bytes
    alg: int
    spki: bytes
    genesis_leaf: bytes
    gateway_name: str
    party_name: str
    level: int = 0
    devices: tuple[tuple[str, int, bytes, int], ...] = ()


def encode_enrolment(code: EnrolmentCode) -> str:
    """The code as text, one line, to be copied by hand or mail."""
    payload = encode(
        [
            1,
            code.feed_id,
            code.alg,
            code.spki,
            code.genesis_leaf,
            code.gateway_name,
            code.party_name,
            code.level,
            code.devices,
        ]
    )
    check = sha256(payload)[:CHECK_BYTES]
    return PREFIX + base64.urlsafe_b64encode(payload + check).rstrip(b"=").decode("ascii")


def decode_enrolment(text: str) -> EnrolmentCode:
    """The code in a text; raises EnrolmentCodeError, which says what to look at."""
    text = "".join(text.split())
    if not text.startswith(PREFIX) or len(text) > CODE_CHARACTERS_MAX:
        raise EnrolmentCodeError(f"an enrolment code starts with {PREFIX}")
    body = text[len(PREFIX) :]
    try:
        raw = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise EnrolmentCodeError("the code has a character that does not belong there") from error
    payload, check = raw[:-CHECK_BYTES], raw[-CHECK_BYTES:]
    if sha256(payload)[:CHECK_BYTES] != check:
        raise EnrolmentCodeError("the code is mistyped or cut: copy it again, whole")
    try:
        return _enrolment(decode(payload))
    except (InputError, MalformedError) as error:
        raise EnrolmentCodeError(f"the code is of another version: {error}") from error


def _enrolment(value: object) -> EnrolmentCode:
    version, feed_id, alg, spki, leaf, gateway_name, party_name, level, devices = fields(
        value, int, bytes, int, bytes, bytes, str, str, int, list
    )
    if version != 1 or len(feed_id) != ID_BYTES:
        raise MalformedError("version or feed id")
    rows: list[Any] = [tuple(fields(row, str, int, bytes, int)) for row in devices]
    return EnrolmentCode(
        feed_id=feed_id,
        alg=alg,
        spki=spki,
        genesis_leaf=leaf,
        gateway_name=gateway_name,
        party_name=party_name,
        level=level,
        devices=tuple(rows),
    )
