"""The one shape of all drivers: a sans-IO session, what it may be asked, and where it fits.

A driver is a `Driver` named in the entry point group `wharfinger.drivers`. Its session takes bytes
and gives events; when to speak and what to say are events too, so no driver opens anything, waits
for anything or reads a clock. Transports do that (`transports/`), `bridge.py` joins the two.
How to write one: docs/howto/write-a-driver.md.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from firmware_bridge.devices import Observation, Rejected
from firmware_bridge.errors import SpecError

LINES: Final = ("serial", "tcp", "tls")  # a session owns the connection, bytes come in any split
INCOMING: Final = "listen"  # the same, but the device calls us; several devices call one port
MESSAGES: Final = ("mqtt", "w1", "ble")  # each feed is one whole payload


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """When bytes came, and from where. Sessions read no clock of their own."""

    mono_ms: int = 0  # never falls; only differences mean something
    wall_ms: int | None = None  # UTC since 1970, where the gateway knows it
    topic: str = ""  # of an MQTT message; over Bluetooth the sender's address; else empty


@dataclass(frozen=True, slots=True)
class Send:
    """Bytes for the device. after_sync: only once all observations before it are durable."""

    data: bytes
    after_sync: bool = False


@dataclass(frozen=True, slots=True)
class Hangup:
    """The connection is to be closed: the other side broke the protocol, or is refused."""

    why: str


@dataclass(frozen=True, slots=True)
class Hello:
    """Who the other side says it is, and what to answer if that device is configured, or if not."""

    name: str  # compared with the option that `Driver.identity` names
    welcome: bytes
    refusal: bytes


@dataclass(frozen=True, slots=True)
class Delivery:
    """Observations that the device sends again until it is told that they arrived.

    digest: 16 bytes that no other delivery of any device has; the intake keeps one of each.
    """

    observations: tuple[Observation, ...]
    digest: bytes


Reading = Observation | Rejected
Event = Observation | Rejected | Send | Hangup | Hello | Delivery


class Session(Protocol):
    """One connection to one device. Subclass it and write `feed`; the rest has defaults."""

    def feed(self, data: bytes, at: Moment) -> Sequence[Event]:
        """What these bytes complete. The split never alters the events; no input raises."""
        ...

    def turn(self, at: Moment) -> Sequence[Event]:  # noqa: ARG002  # a default
        """Called at the opening of the connection and whenever `wake_ms` is reached."""
        return ()

    @property
    def wake_ms(self) -> int | None:
        """`Moment.mono_ms` at which `turn` is due next; None: only at the opening."""
        return None

    @property
    def busy(self) -> bool:
        """On a bus: whether an answer is awaited, so that nobody else may speak."""
        return False


class Codec(Protocol):
    """A stream decoder that never speaks."""

    def feed(self, data: bytes) -> Sequence[Reading]:
        """What these bytes complete."""


class Listening(Session):
    """The session of a device that talks by itself: a codec and nothing else."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    def feed(self, data: bytes, at: Moment) -> Sequence[Event]:  # noqa: ARG002  # no clock needed
        """What the codec makes of them."""
        return self._codec.feed(data)


class Payloads(Session):
    """The session of a device whose payloads stand alone: a function and nothing else."""

    def __init__(self, decode: Callable[[bytes, int | None], Sequence[Reading]]) -> None:
        """decode: (payload, UTC now in ms where known) -> readings."""
        self._decode = decode

    def feed(self, data: bytes, at: Moment) -> Sequence[Event]:
        """What the function makes of the payload."""
        return self._decode(data, at.wall_ms)


@dataclass(frozen=True, slots=True)
class Options:
    """The `[device.options]` of one device, each asked for by name and type."""

    values: Mapping[str, str | int | bool] = field(default_factory=dict)

    def text(self, name: str, default: str | None = None) -> str:
        """A text. Raises SpecError where it is none, or absent without a default."""
        value = self.values.get(name, default)
        if not isinstance(value, str):
            raise SpecError(f"options.{name}", "missing" if value is None else "not a text")
        return value

    def choice(self, name: str, choices: Sequence[str], default: str | None = None) -> str:
        """One of the choices. Raises SpecError."""
        value = self.text(name, default)
        if value not in choices:
            raise SpecError(f"options.{name}", f"{value!r} is none of {', '.join(choices)}")
        return value

    def number(self, name: str, default: int | None = None, *, low: int, high: int) -> int:
        """A whole number from low to high. Raises SpecError."""
        value = self.values.get(name, default)
        if type(value) is not int or not low <= value <= high:
            raise SpecError(f"options.{name}", f"not a whole number from {low} to {high}")
        return value

    def numbers(self, name: str, *, low: int, high: int) -> tuple[int, ...]:
        """The different whole numbers of a text as "1,2,4"; none by default. Raises SpecError."""
        text = self.text(name, "").replace(" ", "")
        parts = text.split(",") if text else []
        numbers = [int(part) if re.fullmatch("[0-9]{1,9}", part) else -1 for part in parts]
        if not all(low <= number <= high for number in numbers) or len(set(numbers)) < len(parts):
            raise SpecError(f"options.{name}", f'not as "1,2,4" with numbers from {low} to {high}')
        return tuple(numbers)

    def flag(self, name: str, *, default: bool = False) -> bool:
        """True or false. Raises SpecError."""
        value = self.values.get(name, default)
        if not isinstance(value, bool):
            raise SpecError(f"options.{name}", "neither true nor false")
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """What a device family is to the bridge. All fields are data but `session`."""

    title: str  # one line for people
    schemes: tuple[str, ...]  # which sources it fits; `replay:` fits every driver
    session: Callable[[Options], Session]  # raises SpecError for a wrong option
    options: tuple[str, ...] = ()  # names that `[device.options]` may hold
    baud: int = 9600  # of a serial line, where the source names none
    identity: str | None = None  # `listen:` only: the option that tells devices apart
    is_bus: bool = False  # several devices answer on one serial line, one at a time
    many_topics: bool = False  # the source may be an MQTT filter with + or #
    interval_ms: int | None = None  # how often it is polled where the spec does not say
    # For `wharf devices`: whether bytes hold a frame that is right to its check bytes (default: a
    # reading comes of them), and options under which a session's first words are safe to be tried.
    recognises: Callable[[bytes], bool] | None = None
    probes: tuple[Mapping[str, str | int | bool], ...] = ()

    @property
    def is_stream(self) -> bool:
        """Whether recorded bytes are a stream; else a recording is a list of payloads."""
        return not set(self.schemes) <= set(MESSAGES)

    def open(self, values: Mapping[str, str | int | bool]) -> Session:
        """A session for one connection. Raises SpecError for an unknown or wrong option."""
        for name in values:
            if name not in self.options:
                known = ", ".join(self.options) or "none"
                raise SpecError(f"options.{name}", f"unknown to this driver; known are: {known}")
        return self.session(Options(values))
