import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.demo.cable import Cable


@pytest.fixture
async def far_port() -> AsyncIterator[int]:
    """A far end that says everything back in capitals."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1000):
            writer.write(data.upper())
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


@pytest.fixture
async def cable(far_port: int) -> AsyncIterator[Cable]:
    made = Cable(far_port)
    await made.open(0)
    yield made
    await made.close()


def near_port(cable: Cable) -> int:
    assert cable._server
    return int(cable._server.sockets[0].getsockname()[1])


async def heard(reader: asyncio.StreamReader) -> bytes:
    """What comes next; empty where the line was dropped, in whichever way."""
    try:
        return await reader.read(100)
    except ConnectionResetError:
        return b""


async def say(cable: Cable, text: bytes) -> bytes:
    """The answer over a new connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", near_port(cable))
    writer.write(text)
    answer = await heard(reader)
    writer.close()
    return answer


async def test_a_whole_cable_carries_both_ways(cable: Cable) -> None:
    assert b"HELLO" == await say(cable, b"hello")


async def test_a_cut_cable_drops_what_is_connected_and_takes_nothing_new(cable: Cable) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", near_port(cable))
    writer.write(b"hello")
    assert b"HELLO" == await reader.read(100)
    cable.cut()
    assert b"" == await heard(reader)
    assert b"" == await say(cable, b"hello")
    writer.close()


async def test_a_mended_cable_carries_again(cable: Cable) -> None:
    cable.cut()
    cable.mend()
    assert b"HELLO" == await say(cable, b"hello")


async def test_a_far_end_that_is_away_looks_like_a_dead_line() -> None:
    server = await asyncio.start_server(lambda _, __: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    cable = Cable(port)
    await cable.open(0)
    assert b"" == await say(cable, b"hello")
    await cable.close()
