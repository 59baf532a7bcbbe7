"""Bounded lines: the too long one is told once, and the next one is whole again."""

import pytest

from firmware_bridge.codecs.lines import LineSplitter
from firmware_bridge.devices import Reason, rejected


@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_a_line_that_is_too_long_costs_nothing_but_itself(size: int) -> None:
    stream = b"one\r\n" + b"x" * 25 + b"\ntwo\n\nthr"
    splitter, found = LineSplitter(10), list[object]()
    for start in range(0, len(stream), size):
        found += splitter.feed(stream[start : start + size])
    assert [b"one", rejected(b"x" * 10, Reason.OVERSIZE), b"two", b""] == found
