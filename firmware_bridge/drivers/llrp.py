"""Fixed UHF readers that speak LLRP (Impinj, Zebra and others), over TCP or TLS.

The session asks what the reader can do, sets keepalives, replaces whatever ROSpec is there by its
own and starts it. A reader that refuses, falls silent or closes is hung up on; the supervisor
connects again with back-off. Channels: `tags`; `clock`, how far the reader's clock was ahead of
ours when it told its time; `antenna/N`, 1 connected, 0 not.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from firmware_bridge.codecs.llrp import LlrpFramer, Message, Type, encode_message, sightings
from firmware_bridge.codecs.llrp_reader import (
    ROSPEC_ID,
    SUCCESS,
    ReaderEvent,
    Wish,
    WishError,
    capabilities_of,
    event_of,
    reader_config,
    rospec,
    status_of,
)
from firmware_bridge.devices import Observation, Reason, Rejected, rejected
from firmware_bridge.driver import Driver, Event, Hangup, Moment, Options, Send, Session
from logistics.reading import TIME_MS_MAX, Telemetry

ANSWER_MS: Final = 10_000
SILENT_KEEPALIVES: Final = 3
_ROSPEC: Final = ROSPEC_ID.to_bytes(4, "big")
# What is asked next when this answer was good. None: the reader reads.
_NEXT: Final[Mapping[Type, Type | None]] = {
    Type.CAPABILITIES: Type.SET_CONFIG,
    Type.SET_CONFIG_RESPONSE: Type.DELETE_ROSPEC,
    Type.DELETE_ROSPEC_RESPONSE: Type.ADD_ROSPEC,
    Type.ADD_ROSPEC_RESPONSE: Type.ENABLE_ROSPEC,
    Type.ENABLE_ROSPEC_RESPONSE: Type.START_ROSPEC,
    Type.START_ROSPEC_RESPONSE: None,
}


class _Client(Session):
    def __init__(self, wish: Wish, keepalive_ms: int) -> None:
        self._framer, self._wish = LlrpFramer(), wish
        self._silence_ms = SILENT_KEEPALIVES * keepalive_ms
        self._bodies = {
            Type.SET_CONFIG: reader_config(keepalive_ms),
            Type.DELETE_ROSPEC: bytes(4),  # all: LLRP has one client, and that is us
            Type.ADD_ROSPEC: b"",
        }
        self._number = 0  # of our last message
        self._awaited: Type | None = None
        self._heard_ms: int | None = None  # when the reader last spoke
        self._asked_ms: int | None = None  # since when it owes an answer, its greeting included

    def feed(self, data: bytes, at: Moment) -> Sequence[Event]:
        events: list[Event] = []
        for item in self._framer.feed(data):
            if isinstance(item, Rejected):
                events.append(item)
                continue
            self._heard_ms = at.mono_ms
            events += self._take(item, at)
        return events

    def turn(self, at: Moment) -> Sequence[Event]:
        if self._heard_ms is None:
            self._heard_ms = self._asked_ms = at.mono_ms
        wake_ms = self.wake_ms
        return () if wake_ms is None or at.mono_ms < wake_ms else (Hangup("the reader is silent"),)

    @property
    def wake_ms(self) -> int | None:
        if self._asked_ms is not None:
            return self._asked_ms + ANSWER_MS
        return None if self._heard_ms is None else self._heard_ms + self._silence_ms

    def _take(self, message: Message, at: Moment) -> list[Event]:
        match message.type:
            case Type.REPORT:
                return list(sightings(message, at.wall_ms))
            case Type.KEEPALIVE:
                return [Send(encode_message(Type.KEEPALIVE_ACK, message.id))]
            case Type.READER_EVENT:
                return self._told(event_of(message), at)
            case Type.ERROR:
                return [rejected(message.body, Reason.FAULT)]
        return self._answered(message, at)

    def _told(self, event: ReaderEvent, at: Moment) -> list[Event]:
        events: list[Event] = []
        time_ms = None if event.utc_us is None else event.utc_us // 1000
        if time_ms is not None and at.wall_ms is not None and time_ms <= TIME_MS_MAX:
            events.append(_told_number("clock", time_ms - at.wall_ms, unit="C26"))
        if event.antenna is not None:
            number, is_connected = event.antenna
            events.append(_told_number(f"antenna/{number}", int(is_connected), unit="C62"))
        if event.exception is not None:
            events.append(rejected(event.exception.encode(), Reason.FAULT))
        if event.refusal is not None:
            events.append(Hangup(f"the reader refuses: {event.refusal}"))
        elif event.is_closing:
            events.append(Hangup("the reader closes"))
        elif event.is_greeting:
            events.append(self._ask(Type.GET_CAPABILITIES, b"\x00", at))
        return events

    def _ask(self, kind: Type, body: bytes, at: Moment) -> Send:
        self._number, self._asked_ms = self._number + 1 & 0xFFFF_FFFF, at.mono_ms
        self._awaited = Type(kind + 10)  # so it is for all that is asked here
        return Send(encode_message(kind, self._number, body))

    def _answered(self, message: Message, at: Moment) -> list[Event]:
        """The next question, if this is the answer to the last one."""
        if message.type != self._awaited or message.id != self._number:
            return []
        code, words = status_of(message)
        # There may be no ROSpec to delete: some readers call that an error.
        if code != SUCCESS and message.type != Type.DELETE_ROSPEC_RESPONSE:
            return [Hangup(f"{message.type.name.lower()}: error {code} {words}")]
        if message.type == Type.CAPABILITIES:
            try:
                self._bodies[Type.ADD_ROSPEC] = rospec(capabilities_of(message), self._wish)
            except WishError as error:
                return [Hangup(f"the reader cannot do what is configured: {error}")]
        following = _NEXT[message.type]
        if following is not None:
            return [self._ask(following, self._bodies.get(following, _ROSPEC), at)]
        self._awaited = self._asked_ms = None
        return []


def _told_number(channel: str, value: int, *, unit: str) -> Observation:
    quantity = channel.partition("/")[0]
    record = Telemetry(value=value, exponent=0, unit=unit)
    return Observation(channel=channel, quantity=quantity, unit=unit, record=record)


def _open(options: Options) -> Session:
    power = options.number("power_cdbm", 0, low=0, high=4_000)
    mode = options.number("mode", -1, low=-1, high=0xFFFF)
    session = options.number("session", -1, low=-1, high=3)
    wish = Wish(
        antennas=options.numbers("antennas", low=1, high=255),
        power_cdbm=power or None,
        mode=None if mode < 0 else mode,
        session=None if session < 0 else session,
    )
    return _Client(wish, options.number("keepalive_ms", 5_000, low=100, high=60_000))


DRIVER = Driver(
    title="fixed UHF reader: LLRP",
    schemes=("tcp", "tls"),
    session=_open,
    # antennas "1,2" (default all); power_cdbm, mode, session (default the reader's own)
    options=("antennas", "power_cdbm", "mode", "session", "keepalive_ms"),
)
