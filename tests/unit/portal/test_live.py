from __future__ import annotations

import json
import socket
from typing import Any

import pytest

from portal import live
from portal.errors import AddressInUseError
from portal.events import Event
from portal.fold import Fold


def heard(text: str) -> list[dict[str, Any]]:
    assert text.startswith("data: ")
    assert text.endswith("\n\n")
    messages: list[dict[str, Any]] = json.loads(text[6:])
    return messages


async def test_a_viewer_hears_all_that_is_known_first_and_then_changes() -> None:
    fold = Fold()
    fold.apply(Event("title", {"type": "title", "title": "trip"}))
    broadcast = live.Broadcast(fold)
    stream = broadcast.watch()
    assert "trip" == heard(await anext(stream))[0]["title"]
    broadcast.send([{"type": "end"}])
    assert [{"type": "end"}] == heard(await anext(stream))
    await stream.aclose()  # type: ignore[attr-defined] # an async generator has it
    assert 0 == broadcast.viewer_count


async def test_a_viewer_who_does_not_read_is_sent_away() -> None:
    broadcast = live.Broadcast(Fold())
    stream = broadcast.watch()
    await anext(stream)
    for _ in range(live.BATCHES_WAITING_MAX + 1):
        broadcast.send([])
    assert 0 == broadcast.viewer_count
    assert live.BATCHES_WAITING_MAX - 1 == len([text async for text in stream])


def test_a_taken_port_is_named_with_a_way_out() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(AddressInUseError, match=f"127.0.0.1:{port}.*--port 0"):
            live.listen("127.0.0.1", port)


def test_port_0_takes_a_free_port_and_tells_it() -> None:
    with live.listen("127.0.0.1", 0) as listener:
        assert f"http://127.0.0.1:{listener.getsockname()[1]}/" == live.address_of(listener)
