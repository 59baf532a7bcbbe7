"""The door: nobody is served before they said who they are, or more than their share."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from consortium.peers import HELLO_S, IDLE_S, KEPT_OUT_S_MAX, Channel, Conduct, PeerDesk
from gateway.passport import sign_proof
from ledger.errors import FormatError, InputError, PeerRefusedError
from ledger.gossip import CHALLENGE, HAVE, HELLO, decode_message, message
from ledger.hashing import sha256
from ledger.peer import PEER_UNKNOWN, SLOW_DOWN, TOO_MANY, PeerName, Standing, proof_statement
from tests.unit.ledger.test_peer import FEED_ID, NOW_S, SERVER, SIGNER, Told, signed

PEER = (1, FEED_ID)


class Exchange:
    """Answers; breaks on rubbish."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()

    async def receive(self, data: bytes) -> list[bytes]:
        if data == b"rubbish":
            raise FormatError("message", "rubbish")
        return [data]

    async def outgoing(self) -> AsyncIterator[bytes]:
        await self.closed.wait()
        for word in list[bytes]():
            yield word

    def close(self) -> None:
        self.closed.set()


class Door:
    """A desk with clocks moved by hand."""

    def __init__(self, told: Told, waiting_max: int = 3) -> None:
        self.told, self.mono_s, self.standing = told, 0.0, Standing(SIGNER.public)
        self.desk = PeerDesk(
            Channel(
                certificate_digest=SERVER,
                standing=lambda *_: self.standing,
                credential=bytes,
                wall_s=lambda: NOW_S,
                mono_s=lambda: self.mono_s,
                new_nonce=bytes,
            ),
            self._open,
            waiting_max=waiting_max,
        )

    async def _open(self, peer: PeerName) -> Exchange:
        assert peer == PEER
        return Exchange()

    def hello(self, challenge: bytes) -> bytes:
        kind, (nonce, now_s, _) = decode_message(challenge)
        assert (CHALLENGE, NOW_S) == (kind, now_s)
        statement = proof_statement(SERVER, nonce, sha256(self.told.certificate))
        credential = signed_once(self.told)
        return message(
            HELLO, credential, self.told.certificate, sign_proof(self.told.key, statement)
        )


_SIGNED: dict[int, bytes] = {}


def signed_once(told: Told) -> bytes:
    return _SIGNED[id(told)]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    made = Told(tmp_path_factory.mktemp("peer"))
    _SIGNED[id(made)] = signed(made.credential)
    return made


async def test_after_the_hello_messages_flow_and_before_it_none_does(told: Told) -> None:
    door = Door(told)
    session = await door.desk.open_session()
    words = aiter(session.outgoing())
    challenge = await anext(words)
    assert HELLO_S == session.patience_s
    assert [] == await session.receive(door.hello(challenge))
    assert (IDLE_S, PEER) == (session.patience_s, session.peer)
    assert [b"word"] == await session.receive(b"word")
    other = await door.desk.open_session()
    with pytest.raises(FormatError, match="before hello"):
        await other.receive(message(HAVE, FEED_ID, 0, 1, 0))
    assert 1 == door.desk.counts.admitted


async def test_a_refused_peer_is_counted_by_the_reason(told: Told) -> None:
    door = Door(told)
    door.standing = Standing(None)
    session = await door.desk.open_session()
    challenge = await anext(aiter(session.outgoing()))
    with pytest.raises(PeerRefusedError) as raised:
        await session.receive(door.hello(challenge))
    assert (PEER_UNKNOWN, {PEER_UNKNOWN: 1}) == (raised.value.code, door.desk.counts.refused)


async def admitted(door: Door) -> tuple[object, AsyncIterator[bytes]]:
    session = await door.desk.open_session()
    words = aiter(session.outgoing())
    await session.receive(door.hello(await anext(words)))
    return session, words


async def test_a_peer_that_sends_rubbish_stays_out_longer_each_time(told: Told) -> None:
    door = Door(told)
    for kept_out_s in (2, 4, 8):
        session = await door.desk.open_session()
        await session.receive(door.hello(await anext(aiter(session.outgoing()))))
        with pytest.raises(InputError):
            await session.receive(b"rubbish")
        await session.aclose()
        again = await door.desk.open_session()
        with pytest.raises(PeerRefusedError) as raised:
            await again.receive(door.hello(await anext(aiter(again.outgoing()))))
        assert SLOW_DOWN == raised.value.code
        await again.aclose()
        door.mono_s += kept_out_s
    assert 3 == door.desk.counts.cut_off


async def test_the_newest_streams_of_a_peer_displace_its_oldest(told: Told) -> None:
    door = Door(told)
    streams = [await admitted(door) for _ in range(3)]
    with pytest.raises(PeerRefusedError) as raised:
        await anext(streams[0][1])
    assert (TOO_MANY, 1) == (raised.value.code, door.desk.counts.displaced)


async def test_200_silent_strangers_lock_nobody_out(told: Told) -> None:
    door = Door(told, waiting_max=50)
    strangers = [await door.desk.open_session() for _ in range(200)]
    await admitted(door)
    assert (151, 1) == (door.desk.counts.displaced, door.desk.counts.admitted)
    words = aiter(strangers[0].outgoing())
    await anext(words)
    with pytest.raises(PeerRefusedError, match="others wait"):
        await anext(words)


def test_conduct_has_bounds() -> None:
    conduct = Conduct()
    for _ in range(40):
        conduct.cut_off(PEER, 0.0)
    assert KEPT_OUT_S_MAX == conduct.waits_s(PEER, 0.0)
    for number in range(10_100):
        conduct.cut_off((1, number.to_bytes(16, "big")), 1000.0 + number)
    assert (0, 1) == (conduct.times(PEER), conduct.times((1, (10_050).to_bytes(16, "big"))))
