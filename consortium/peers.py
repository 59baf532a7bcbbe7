"""Who is let in to gossip, how many streams each may hold, and what becomes of one that sends
rubbish.

    waiting ──hello──▶ known ──rubbish──▶ cut off, and kept out for longer each time
       │                 └──a newer stream of the same peer──▶ displaced
       └──not in time, or one more than may wait──▶ displaced
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from ledger.errors import FormatError, LedgerError, PeerRefusedError
from ledger.gossip import CHALLENGE, HELLO, decode_message, message
from ledger.peer import (
    NONCE_BYTES,
    SLOW_DOWN,
    TOO_MANY,
    PeerName,
    StandingOf,
    check_hello,
)

HELLO_S: Final = 10.0  # for a peer to say who it is
IDLE_S: Final = 7200.0  # without a message, after which a known peer has to come anew
STREAMS_MAX: Final = 2  # of one peer: a dead link's stream may linger beside the new one
KEPT_OUT_S_MAX: Final = 600.0
PEERS_WATCHED_MAX: Final = 10_000
_log = logging.getLogger(__name__)


class Exchange(Protocol):
    """What a known peer talks to."""

    async def receive(self, message: bytes) -> list[bytes]:
        """Takes one message; returns what to send at once."""

    def outgoing(self) -> AsyncIterator[bytes]:
        """Messages that this side sends by itself."""

    def close(self) -> None:
        """The stream has ended, or is to end."""


class Conduct:
    """How often each peer was cut off, and how long it stays out after that."""

    def __init__(self) -> None:
        self._cut: dict[PeerName, tuple[int, float]] = {}  # times, until when

    def cut_off(self, peer: PeerName, now_s: float) -> float:
        """Notes rubbish; returns the seconds for which the peer stays out."""
        times = self._cut.get(peer, (0, 0.0))[0] + 1
        kept_out_s = min(KEPT_OUT_S_MAX, float(2 ** min(times, 16)))
        if len(self._cut) >= PEERS_WATCHED_MAX and peer not in self._cut:
            del self._cut[min(self._cut, key=lambda name: self._cut[name][1])]
        self._cut[peer] = (times, now_s + kept_out_s)
        return kept_out_s

    def waits_s(self, peer: PeerName, now_s: float) -> float:
        """Seconds for which a peer is still kept out; 0.0 where it may come in."""
        return max(0.0, self._cut.get(peer, (0, 0.0))[1] - now_s)

    def times(self, peer: PeerName) -> int:
        """How often a peer was cut off."""
        return self._cut.get(peer, (0, 0.0))[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """What this side is and knows. Clocks: seconds since 1970, and monotonic seconds."""

    certificate_digest: bytes
    standing: StandingOf
    credential: Callable[[], bytes]  # this side's own, b"" where the certificate is pinned
    wall_s: Callable[[], int]
    mono_s: Callable[[], float]
    new_nonce: Callable[[int], bytes]


@dataclass(slots=True)
class PeerCounts:
    """For the operator: peers let in, refused by code, cut off for rubbish, displaced."""

    admitted: int = 0
    refused: Counter[int] = field(default_factory=Counter)
    cut_off: int = 0
    displaced: int = 0


class PeerDesk:
    """The door of one program: every stream begins here."""

    def __init__(
        self,
        channel: Channel,
        open_exchange: Callable[[PeerName], Awaitable[Exchange]],
        *,
        waiting_max: int,
    ) -> None:
        self.channel, self._open_exchange = channel, open_exchange
        self._waiting_max = max(1, waiting_max)
        self._waiting: list[PeerSession] = []
        self._known: dict[PeerName, list[PeerSession]] = {}
        self.conduct, self.counts = Conduct(), PeerCounts()

    async def open_session(self) -> "PeerSession":
        """A session for a new stream; the one that waited longest makes room for it."""
        while len(self._waiting) >= self._waiting_max:
            self._displace(self._waiting.pop(0), "others wait to come in")
        session = PeerSession(self)
        self._waiting.append(session)
        return session

    async def admit(self, session: "PeerSession", peer: PeerName) -> Exchange:
        """The exchange for a peer that proved who it is; raises PeerRefusedError."""
        waits_s = self.conduct.waits_s(peer, self.channel.mono_s())
        if waits_s:
            text = f"cut off {self.conduct.times(peer)} times; come again in {waits_s:.0f} s"
            raise PeerRefusedError(peer[1], SLOW_DOWN, text)
        held = self._known.setdefault(peer, [])
        while len(held) >= STREAMS_MAX:
            self._displace(held.pop(0), "a newer stream of the same peer")
        held.append(session)
        if session in self._waiting:
            self._waiting.remove(session)
        self.counts.admitted += 1
        return await self._open_exchange(peer)

    def _displace(self, session: "PeerSession", why: str) -> None:
        self.counts.displaced += 1
        session.displace(why)

    def leave(self, session: "PeerSession") -> None:
        """The session is over."""
        if session in self._waiting:
            self._waiting.remove(session)
        held = self._known.get(session.peer, []) if session.peer else []
        if session in held:
            held.remove(session)
        if session.peer and not held:
            self._known.pop(session.peer, None)

    def refused(self, error: PeerRefusedError) -> None:
        """Counts a refusal."""
        self.counts.refused[error.code] += 1
        _log.warning("peer_refused id=%s reason=%s", error.peer_id.hex()[:8], error)

    def misbehaved(self, peer: PeerName, error: LedgerError) -> None:
        """Counts rubbish: nothing of it was taken, and the peer is kept out for a while."""
        self.counts.cut_off += 1
        kept_out_s = self.conduct.cut_off(peer, self.channel.mono_s())
        name = peer[1].hex()[:8]
        _log.warning("peer_cut_off id=%s kept_out_s=%.0f reason=%s", name, kept_out_s, error)


class PeerSession:
    """One stream: first who it is, then what it came for."""

    def __init__(self, desk: PeerDesk) -> None:
        self._desk = desk
        self._nonce = desk.channel.new_nonce(NONCE_BYTES)
        self.peer: PeerName | None = None
        self._exchange: Exchange | None = None
        self._turn = asyncio.Event()  # known, displaced or ended
        self._why: str | None = None

    @property
    def patience_s(self) -> float:
        """Seconds for which the next message is waited for."""
        return HELLO_S if self._exchange is None else IDLE_S

    async def receive(self, message: bytes) -> list[bytes]:
        """Takes one message; raises PeerRefusedError, or LedgerError for rubbish."""
        if self._exchange is None:
            try:
                self.peer = self._introduced(message)
                self._exchange = await self._desk.admit(self, self.peer)
            except PeerRefusedError as error:
                self._desk.refused(error)
                raise
            self._turn.set()
            return []
        try:
            return await self._exchange.receive(message)
        except PeerRefusedError:
            raise
        except LedgerError as error:
            if self.peer is not None:
                self._desk.misbehaved(self.peer, error)
            raise

    def _introduced(self, data: bytes) -> PeerName:
        kind, fields = decode_message(data)
        if kind != HELLO:
            raise FormatError("gossip message", "before hello: update what speaks to this machine")
        channel = self._desk.channel
        return check_hello(
            credential=fields[0],
            certificate=fields[1],
            proof=fields[2],
            server_digest=channel.certificate_digest,
            nonce=self._nonce,
            standing=channel.standing,
            now_s=channel.wall_s(),
        )

    async def outgoing(self) -> AsyncIterator[bytes]:
        """The challenge, then what the exchange says; raises PeerRefusedError once displaced."""
        channel = self._desk.channel
        yield message(CHALLENGE, self._nonce, channel.wall_s(), channel.credential())
        await self._turn.wait()
        if self._exchange is not None:
            async for item in self._exchange.outgoing():
                yield item
        if self._why is not None:
            raise PeerRefusedError(self.peer[1] if self.peer else b"", TOO_MANY, self._why)

    def displace(self, why: str) -> None:
        """Ends this stream for another's sake."""
        self._why = why
        self._turn.set()
        if self._exchange is not None:
            self._exchange.close()

    async def aclose(self) -> None:
        """The stream has ended."""
        self._desk.leave(self)
        self._turn.set()
        if self._exchange is not None:
            self._exchange.close()
