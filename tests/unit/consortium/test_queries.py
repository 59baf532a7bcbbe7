"""Looking an anchor up by height or time: what a list of all would say, without reading it."""

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from consortium.queries import Place, anchor_from, anchor_to

FEED = b"f" * 16


class Listed:
    """A log of one feed's anchors, which counts how many places are looked at."""

    def __init__(self, places: list[Place]) -> None:
        self._places, self.looked_at = places, 0

    def leaf(self, index: int) -> bytes | None:
        raise AssertionError(index)

    def node(self, level: int, index: int) -> bytes:
        raise AssertionError(level, index)

    def places(
        self, kind: int, feed_id: bytes, epoch: int, *, first_height: int
    ) -> Iterable[Place]:
        assert (kind, feed_id, epoch) == (4, FEED, 0)
        for place in self._places:
            if place[0] >= first_height:
                self.looked_at += 1
                yield place

    def last_place(
        self, kind: int, feed_id: bytes, epoch: int, *, below_height: int
    ) -> Place | None:
        assert (kind, feed_id, epoch) == (4, FEED, 0)
        self.looked_at += 1
        return next((place for place in reversed(self._places) if place[0] < below_height), None)


def places_of(heights: list[int], times: list[int]) -> list[Place]:
    """Heights strictly, times weakly ascending."""
    pairs = zip(sorted(set(heights)), sorted(times), strict=False)
    return [(height, index, time_ms) for index, (height, time_ms) in enumerate(pairs)]


@given(
    st.lists(st.integers(0, 60), max_size=30),
    st.lists(st.integers(0, 20), min_size=30, max_size=30),
    st.integers(0, 21),
)
def test_the_anchors_around_a_time_are_those_of_the_whole_list(
    heights: list[int], times: list[int], time_ms: int
) -> None:
    places = places_of(heights, times)
    after = [place for place in places if place[2] >= time_ms]
    before = [place for place in places if place[2] <= time_ms]
    log = Listed(places)
    assert anchor_from(log, FEED, 0, time_ms=time_ms) == (after[0] if after else None)
    assert anchor_to(log, FEED, 0, time_ms=time_ms) == (before[-1] if before else None)


def test_a_feed_of_a_hundred_thousand_anchors_is_not_read_through() -> None:
    log = Listed([(3 * number, number, 1_000 * number) for number in range(100_000)])
    found = anchor_from(log, FEED, 0, time_ms=77_777_001)
    assert (found, log.looked_at < 60) == ((3 * 77_778, 77_778, 77_778_000), True)
