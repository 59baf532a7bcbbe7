import asyncio
from collections.abc import AsyncIterator

import pytest

from consortium.errors import ChainUnavailableError, MalformedError, NotYetProvenError, RefusedError
from consortium.gossip_server import READY_MAX, pump
from consortium.wire import decode_answer, decode_request, encode_fault, encode_result
from ledger.canonical import encode
from ledger.errors import FormatError


class Echo:
    """Answers each message twice, and says hello by itself."""

    patience_s = 60.0

    def __init__(self) -> None:
        self.closed = asyncio.Event()

    async def receive(self, message: bytes) -> list[bytes]:
        if message == b"bad":
            raise FormatError("message", "bad")
        if message == b"bug":
            raise ZeroDivisionError
        return [message, message]

    async def outgoing(self) -> AsyncIterator[bytes]:
        yield b"hello"
        await self.closed.wait()

    async def aclose(self) -> None:
        self.closed.set()


async def peer(*messages: bytes) -> AsyncIterator[bytes]:
    for message in messages:
        yield message
        await asyncio.sleep(0)


async def said(*messages: bytes) -> list[bytes]:
    return sorted([message async for message in pump(Echo(), peer(*messages))])


async def test_answers_and_own_messages_go_out_until_the_peer_ends() -> None:
    assert [b"a", b"a", b"b", b"b", b"hello"] == await said(b"a", b"b")


async def test_a_message_that_breaks_the_format_ends_the_session() -> None:
    assert [b"a", b"a", b"hello"] == await said(b"a", b"bad", b"c")


async def test_a_fault_of_our_own_ends_the_session_and_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert b"c" not in await said(b"bug", b"c")
    assert "gossip_session_failed" in caplog.text


async def test_a_peer_that_does_not_read_is_not_served_into_memory() -> None:
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield b"x"

    stream = pump(Echo(), endless())
    assert await anext(stream)
    for _ in range(10 * READY_MAX):
        await asyncio.sleep(0)
    assert taken <= READY_MAX
    await stream.aclose()  # type: ignore[attr-defined]  # an async generator


@pytest.mark.parametrize(
    "error",
    [
        RefusedError(31, "enrolled"),
        NotYetProvenError("not yet"),
        ChainUnavailableError("busy"),
        MalformedError("what"),
    ],
)
def test_an_error_arrives_as_itself(error: Exception) -> None:
    with pytest.raises(type(error), match=str(error).replace("(", r"\(").replace(")", r"\)")):
        decode_answer(encode_fault(error))  # type: ignore[arg-type]  # all are ConsortiumErrors


def test_a_result_arrives_as_it_was_sent() -> None:
    assert [1, b"x", None] == decode_answer(encode_result([1, b"x", None]))


@pytest.mark.parametrize(
    "data", [b"", b"\xff", encode([]), encode([2, 0, 1]), encode(5), encode([1, 0]), encode({1: 2})]
)
def test_an_answer_of_another_form_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedError):
        decode_answer(data)


@pytest.mark.parametrize("data", [b"", encode([]), encode([2]), encode([True]), encode({})])
def test_a_request_of_another_form_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedError):
        decode_request(data)
