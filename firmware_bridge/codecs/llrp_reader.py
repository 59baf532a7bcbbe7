"""What an LLRP reader can do, what it says of itself, and the ROSpec that it is given for that.

Readers refuse hop tables, power steps and modes that are not their own, so a ROSpec is built from
GET_READER_CAPABILITIES, and names only what was asked for: the rest stays as the reader's owner set
it. Source: EPCglobal LLRP 1.1, sections 17.2.3 (capabilities), 17.2.4 (ROSpec), 17.2.6 (events).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from firmware_bridge.codecs.llrp import Message, Param, Parameters, each, first, parameters, tlv

ROSPEC_ID: Final = 0x57_48  # any but 0; ours among those of others
SUCCESS: Final = 0
_GEN2: Final = 1  # the air protocol
_EVENTS: Final = (3, 4, 8)  # report buffer filling, exceptions, antennas (17.2.5.4)
_ON_EVERY_TAG: Final = 1  # report upon N tags or the end of the AISpec, with N = 1
# TagReportContentSelector: antenna, peak RSSI, first seen.
_CONTENT: Final = 1 << 12 | 1 << 10 | 1 << 9
_ATTEMPTS: Final = {
    1: "a connection that the reader made exists",
    2: "another client holds it",
    3: "for a reason that it does not say",
}


class WishError(ValueError):
    """The reader cannot do what it is configured for, or does not say what it can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """The part of a reader's capabilities that a ROSpec is built from."""

    antennas: int
    has_utc_clock: bool
    manufacturer: int  # IANA private enterprise number: 25882 Impinj, 161 Motorola and Zebra
    model: int
    firmware: str
    powers_cdbm: tuple[tuple[int, int], ...] = ()  # (index, hundredths of dBm)
    modes: tuple[int, ...] = ()
    hop_table: int = 0
    is_hopping: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How the reader is to read; None leaves it to the reader."""

    antennas: tuple[int, ...] = ()  # empty: all
    power_cdbm: int | None = None
    mode: int | None = None
    session: int | None = None


def status_of(message: Message) -> tuple[int, str]:
    """(code, words) of a response's LLRPStatus; code -1 where it holds none."""
    value = first(parameters(message.body), Param.STATUS)
    if value is None or len(value) < 4:
        return -1, "no status"
    size = int.from_bytes(value[2:4], "big")
    return int.from_bytes(value[:2], "big"), _text(value[4 : 4 + size])


def _text(data: bytes) -> str:
    """A reader's words, cut and made printable: they go into logs."""
    text = data[:120].decode("utf-8", "replace")
    return "".join(char if char.isprintable() else "?" for char in text)


def capabilities_of(message: Message) -> Capabilities:
    """What a GET_READER_CAPABILITIES_RESPONSE says. Raises WishError where it does not fit."""
    found = parameters(message.body)
    general = first(found, Param.GENERAL_CAPABILITIES)
    if general is None or len(general) < 14:
        raise WishError("it does not say what it can do")
    size = int.from_bytes(general[12:14], "big")
    regulatory = first(found, Param.REGULATORY_CAPABILITIES) or b""
    band = parameters(first(parameters(regulatory[4:]), Param.UHF_BAND) or b"")
    hopping, table = _hopping(first(band, Param.FREQUENCY_INFORMATION) or b"")
    return Capabilities(
        antennas=int.from_bytes(general[:2], "big"),
        has_utc_clock=bool(general[2] & 0x40),
        manufacturer=int.from_bytes(general[4:8], "big"),
        model=int.from_bytes(general[8:12], "big"),
        firmware=_text(general[14 : 14 + size]),
        powers_cdbm=tuple(
            (int.from_bytes(entry[:2], "big"), int.from_bytes(entry[2:4], "big", signed=True))
            for entry in each(band, Param.POWER_ENTRY)
        ),
        modes=_modes(band),
        hop_table=table,
        is_hopping=hopping,
    )


def _hopping(information: bytes) -> tuple[bool, int]:
    """Whether the reader hops, and its first hop table's id."""
    is_hopping = bool(information[:1] and information[0] & 0x80)
    table = first(parameters(information[1:]), Param.HOP_TABLE) or b"\x00"
    return is_hopping, table[0] if table else 0


def _modes(band: Parameters | None) -> tuple[int, ...]:
    return tuple(
        int.from_bytes(entry[:4], "big")
        for table in each(band, Param.MODE_TABLE)
        for entry in each(parameters(table), Param.MODE_ENTRY)
    )


def rospec(able: Capabilities, wish: Wish) -> bytes:
    """The ROSpec parameter that reads until it is stopped. Raises WishError."""
    wrong = [number for number in wish.antennas if not 1 <= number <= able.antennas]
    if wrong:
        raise WishError(f"antenna {wrong[0]}: the reader has {able.antennas}")
    start_by_command, never_stop = tlv(179, b"\x00"), tlv(182, bytes(5))
    numbers = wish.antennas or (0,)  # 0: all antennas
    antennas = len(numbers).to_bytes(2, "big") + b"".join(n.to_bytes(2, "big") for n in numbers)
    inventory = tlv(186, (1).to_bytes(2, "big") + bytes((_GEN2,)) + _antenna_settings(able, wish))
    pc_bits = tlv(348, b"\x40")
    report = tlv(
        237,
        bytes((_ON_EVERY_TAG,))
        + (1).to_bytes(2, "big")
        + tlv(238, _CONTENT.to_bytes(2, "big") + pc_bits),
    )
    body = (
        ROSPEC_ID.to_bytes(4, "big")
        + bytes(2)  # priority 0, disabled
        + tlv(178, start_by_command + never_stop)
        + tlv(183, antennas + tlv(184, bytes(5)) + inventory)
        + report
    )
    return tlv(177, body)


def _antenna_settings(able: Capabilities, wish: Wish) -> bytes:
    """An AntennaConfiguration for all antennas, or nothing where nothing was asked for."""
    inside = b""
    if wish.power_cdbm is not None:
        channel = 0 if able.is_hopping else 1
        numbers = (able.hop_table, channel, _power_index(able, wish.power_cdbm))
        inside += tlv(224, b"".join(number.to_bytes(2, "big") for number in numbers))
    command = b""
    if wish.mode is not None:
        if wish.mode not in able.modes:
            raise WishError(f"mode {wish.mode}: the reader has {_list(able.modes)}")
        command += tlv(335, wish.mode.to_bytes(2, "big") + bytes(2))
    if wish.session is not None:
        population, transit_ms = (32).to_bytes(2, "big"), bytes(4)
        command += tlv(336, bytes((wish.session << 6,)) + population + transit_ms)
    if command:
        inside += tlv(330, b"\x00" + command)
    return tlv(222, bytes(2) + inside) if inside else b""


def _power_index(able: Capabilities, power_cdbm: int) -> int:
    """The strongest step that is not stronger than asked for."""
    steps = [(power, index) for index, power in able.powers_cdbm if power <= power_cdbm]
    if not steps:
        known = _list(power for _, power in able.powers_cdbm)
        raise WishError(f"power_cdbm {power_cdbm}: the reader has {known}")
    return max(steps)[1]


def _list(numbers: Iterable[int]) -> str:
    return ", ".join(str(number) for number in numbers) or "none"


def reader_config(keepalive_ms: int) -> bytes:
    """The body of SET_READER_CONFIG: keepalives every so often, and the events we want."""
    states = [tlv(Param.EVENT_STATE, kind.to_bytes(2, "big") + b"\x80") for kind in _EVENTS]
    keepalive = tlv(Param.KEEPALIVE_SPEC, b"\x01" + keepalive_ms.to_bytes(4, "big"))
    return b"\x00" + tlv(Param.EVENT_SPEC, b"".join(states)) + keepalive


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderEvent:
    """What a READER_EVENT_NOTIFICATION says, as far as we look."""

    utc_us: int | None = None
    is_greeting: bool = False  # the connection is ours
    refusal: str | None = None  # why it is not
    is_closing: bool = False
    antenna: tuple[int, bool] | None = None  # (number, is connected)
    exception: str | None = None


def event_of(message: Message) -> ReaderEvent:
    """The event of a notification; one without contents where it does not fit."""
    data = parameters(first(parameters(message.body), Param.EVENT_DATA) or b"")
    utc, attempt = first(data, Param.UTC), first(data, Param.CONNECTION_ATTEMPT)
    antenna, fault = first(data, Param.ANTENNA_EVENT), first(data, Param.READER_EXCEPTION)
    status = int.from_bytes(attempt, "big") if attempt is not None else -1
    return ReaderEvent(
        utc_us=int.from_bytes(utc, "big") if utc is not None and len(utc) == 8 else None,
        is_greeting=status == SUCCESS,
        # Status 4 tells the holder that somebody else tried.
        refusal=_ATTEMPTS.get(status),
        is_closing=first(data, Param.CONNECTION_CLOSE) is not None,
        antenna=_antenna(antenna),
        exception=None if fault is None else _text(fault[2:]),
    )


def _antenna(value: bytes | None) -> tuple[int, bool] | None:
    if value is None or len(value) != 3 or value[0] > 1:
        return None
    return int.from_bytes(value[1:], "big"), value[0] == 1
