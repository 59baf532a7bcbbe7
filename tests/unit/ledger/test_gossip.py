"""Sync without sockets: what comes through, what is refused, and that no peer breaks it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.block import BlockParts, decode_header
from ledger.canonical import decode, encode
from ledger.errors import (
    ConflictError,
    FormatError,
    InputError,
    LimitError,
    RefutedError,
    UncheckableError,
)
from ledger.gossip import (
    ALLOWED_BYTES,
    BLOCK,
    FEEDS_MAX,
    GRANT,
    HAVE,
    HEAD,
    MESSAGE_BYTES_MAX,
    NO,
    NO_CONFLICT,
    NO_NOT_ENROLLED,
    NO_OUT_OF_TURN,
    NOTICE,
    NOTICE_BYTES_MAX,
    PART,
    REFUSALS_KEPT,
    STATE,
    WANT,
    FeedName,
    FeedReceiver,
    FeedSender,
    block_messages,
    decode_message,
    message,
)
from ledger.head import decode_head
from tests.unit.ledger.feed_builder import FeedBuilder, grown
from tests.unit.ledger.held_feed import parts_of

FEED = grown(FeedBuilder())
PARTS = [parts_of(block) for block in FEED.blocks]
NAME = FEED.feed
HEAD_BYTES = FEED.head().encode()


class Source:
    """Gives away a feed as far as it is grown."""

    def __init__(self, blocks: int = len(PARTS), head: int = 6) -> None:
        self.blocks, self.head = blocks, head
        self.boxes = [(1, 0, b"sealed key")]

    def feeds(self) -> Sequence[tuple[bytes, int, int, int]]:
        return [(*NAME, self.blocks, self.head)]

    def block(self, _: FeedName, height: int) -> BlockParts | None:
        return PARTS[height]

    def heads(self, _: FeedName, above: int) -> Sequence[bytes]:
        return [FEED.head(self.head).encode()] if self.head > above else []

    def grants(self, _: FeedName) -> Sequence[tuple[int, int, bytes]]:
        return self.boxes


class Sink:
    """Keeps blocks in order; raises what a test asks for."""

    def __init__(self, error: Exception | None = None) -> None:
        self.blocks, self.heads, self.grants = list[BlockParts](), list[bytes](), list[Any]()
        self.error = error

    def enrolled(self, feed_id: bytes) -> bool:
        return feed_id == NAME[0]

    def held(self, _: FeedName) -> tuple[int, int]:
        head = decode_head(self.heads[-1]).claim.height if self.heads else -1
        return len(self.blocks), head

    def accept_block(self, parts: BlockParts) -> None:
        if self.error:
            raise self.error
        if decode_header(parts.header).height != len(self.blocks):
            raise UncheckableError("out of turn")
        self.blocks.append(parts)

    def accept_head(self, head: bytes) -> None:
        if self.error:
            raise self.error
        if decode_head(head).claim.height >= len(self.blocks):
            raise UncheckableError("head before its block")
        self.heads.append(head)

    def accept_grant(self, feed: FeedName, *, audience: int, key_epoch: int, sealed: bytes) -> None:
        self.grants.append((feed, audience, key_epoch, sealed))


def pump(sender: FeedSender, receiver: FeedReceiver, rounds: int = 50) -> int:
    """Messages carried until none is left."""
    carried = 0
    for _ in range(rounds):
        batch = sender.outgoing()
        for item in batch:
            carried += 1
            for answer in receiver.receive(item):
                sender.receive(answer)
        if not batch:
            break
    return carried


def test_a_feed_comes_through_whole_and_the_sender_learns_of_it() -> None:
    sender, sink = FeedSender(Source()), Sink()
    pump(sender, FeedReceiver(sink))
    assert (PARTS, [HEAD_BYTES]) == (sink.blocks, sink.heads)
    assert [(NAME, 1, 0, b"sealed key")] == sink.grants
    assert {NAME: (7, 6)} == sender.held_by_peer
    assert ([], []) == (sender.refusals, sender.outgoing())


def test_what_is_new_follows_on_the_same_connection() -> None:
    source, sink = Source(3, 2), Sink()
    sender, receiver = FeedSender(source), FeedReceiver(sink)
    pump(sender, receiver)
    assert (3, 2) == sink.held(NAME)
    source.blocks, source.head = 7, 6
    source.boxes.append((2, 0, b"another"))
    pump(sender, receiver)
    assert ((7, 6), 2) == (sink.held(NAME), len(sink.grants))


def test_a_new_connection_goes_on_where_the_last_one_ended() -> None:
    sink = Sink()
    pump(FeedSender(Source(4, 3)), FeedReceiver(sink))
    sender = FeedSender(Source())
    sent = [sender.outgoing()[0]]
    for answer in FeedReceiver(sink).receive(sent[0]):
        sender.receive(answer)
    heights = [
        decode_header(fields[0]).height
        for kind, fields in map(decode_message, sender.outgoing())
        if kind == BLOCK
    ]
    assert [4, 5, 6] == heights


def test_no_more_is_sent_than_was_allowed() -> None:
    sender = FeedSender(Source())
    sender.outgoing()
    sender.receive(message(WANT, *NAME, 0, 600))
    sent = [decode_message(item)[0] for item in sender.outgoing()]
    assert 1 <= sent.count(BLOCK) < 7
    assert [] == sender.outgoing()
    sender.receive(message(WANT, *NAME, 3, ALLOWED_BYTES * 9))
    assert sender._wanted[NAME].allowed_bytes == ALLOWED_BYTES


def test_large_runs_travel_in_parts_and_every_message_is_within_the_limit() -> None:
    big = b"x" * 500_000
    parts = BlockParts(header=PARTS[1].header, runs=((1, b"head", b"body", big),))
    messages = block_messages(NAME, 1, parts)
    assert 4 == len(messages)
    assert max(map(len, messages)) <= MESSAGE_BYTES_MAX
    carried = b"".join(decode_message(item)[1][5] for item in messages[1:])
    assert big == carried


# Refusals ----------------------------------------------------------------------------------------


def offered(sink: Sink) -> FeedReceiver:
    receiver = FeedReceiver(sink)
    receiver.receive(message(HAVE, *NAME, 7, 6))
    return receiver


def deliver(receiver: FeedReceiver, height: int = 0) -> list[bytes]:
    answers: list[bytes] = []
    for item in block_messages(NAME, height, PARTS[height]):
        answers += receiver.receive(item)
    return answers


def test_a_feed_that_is_not_enrolled_is_declined() -> None:
    (answer,) = FeedReceiver(Sink()).receive(message(HAVE, b"s" * 16, 0, 7, 6))
    kind, fields = decode_message(answer)
    assert (NO, NO_NOT_ENROLLED) == (kind, fields[1])


@pytest.mark.parametrize(
    ("error", "code"),
    [(UncheckableError("too early"), NO_OUT_OF_TURN), (ConflictError("two sides"), NO_CONFLICT)],
)
def test_what_a_sink_cannot_take_is_answered(error: Exception, code: int) -> None:
    receiver = offered(Sink(error))
    for answers in (deliver(receiver), receiver.receive(message(HEAD, HEAD_BYTES))):
        kind, fields = decode_message(answers[0])
        assert (NO, code) == (kind, fields[1])


@pytest.mark.parametrize("error", [FormatError("run", "wrong"), RefutedError("false")])
def test_what_no_honest_peer_sends_ends_the_connection(error: Exception) -> None:
    with pytest.raises(InputError):
        deliver(offered(Sink(error)))
    with pytest.raises((InputError, RefutedError)):
        offered(Sink(error)).receive(message(HEAD, HEAD_BYTES))


def test_a_block_out_of_turn_is_asked_for_again_from_where_it_fits() -> None:
    answers = deliver(offered(Sink()), 3)
    assert [NO, WANT] == [decode_message(item)[0] for item in answers]
    assert 0 == decode_message(answers[1])[1][2]


FOREIGN = FeedBuilder("stranger")
grown(FOREIGN, 2)
F16 = b"f" * 16


@pytest.mark.parametrize(
    "bad",
    [
        message(PART, *NAME, 0, 0, 0, b"part of nothing"),
        message(BLOCK, FOREIGN.headers[0].encode(), []),
        message(BLOCK, PARTS[0].header, []),
        message(BLOCK, PARTS[0].header, [[0, b"", b""]]),
        message(BLOCK, PARTS[0].header, [5]),
        message(HEAD, FOREIGN.head().encode()),
        message(HEAD, b"no head"),
        message(GRANT, F16, 0, 1, 0, b"box"),
        message(WANT, *NAME, 0, 1),
        message(STATE, *NAME, 0, 0),
        message(NO, F16, 1, "no"),
        message(HAVE, *NAME[:1], 1 << 32, 7, 6),
        message(HAVE, *NAME, -1, 6),
        message(HAVE, *NAME, 7, -2),
        message(HAVE, b"short", 0, 7, 6),
        message(HAVE, *NAME, 1 << 63, 6),
        message(GRANT, *NAME, 1 << 16, 0, b"box"),
        message(GRANT, *NAME, -1, 0, b"box"),
        message(99, b""),
        message(HAVE, *NAME, True, 6),
        message(HAVE),
        encode([2, HAVE, *NAME, 7, 6]),
        encode([1]),
        encode({}),
        b"",
        b"\xff",
        bytes(MESSAGE_BYTES_MAX + 1),
    ],
)
def test_malformed_or_misplaced_messages_are_the_peers_fault(bad: bytes) -> None:
    with pytest.raises(InputError):
        offered(Sink()).receive(bad)


@pytest.mark.parametrize(
    "bad",
    [
        message(HAVE, *NAME, 7, 6), message(PART, *NAME, 0, 0, 0, b""), message(HEAD, b""),
        message(WANT, F16, 0, 0, 1), message(STATE, F16, 0, 0, 0), message(WANT, *NAME, -1, 5),
        message(WANT, *NAME, 0, -1),
    ],
)  # fmt: skip
def test_a_sender_takes_only_answers_about_what_it_offered(bad: bytes) -> None:
    sender = FeedSender(Source())
    sender.outgoing()
    with pytest.raises(InputError):
        sender.receive(bad)


def test_parts_come_in_order_and_within_their_size() -> None:
    block, *parts = block_messages(NAME, 4, PARTS[4])
    kind, fields = decode_message(parts[0])
    for change in ({4: 5}, {3: 9}, {5: fields[5] + b"\x00"}, {2: 3}):
        receiver = offered(Sink())
        receiver.receive(block)
        lie = [change.get(at, value) for at, value in enumerate(fields)]
        with pytest.raises(FormatError):
            receiver.receive(message(kind, *lie))


def test_a_block_that_would_not_fit_into_memory_is_refused() -> None:
    run = FEED.run(1, 1)
    assert run is not None
    huge = replace(run.body, ct_bytes=32 << 20).encode()
    clear = [[a, h, huge] for a, h, _, _ in PARTS[1].runs]
    with pytest.raises(LimitError, match="block size"):
        offered(Sink()).receive(message(BLOCK, PARTS[1].header, clear))


def test_a_peer_cannot_make_us_remember_without_end() -> None:
    class AllEnrolled(Sink):
        def enrolled(self, feed_id: bytes) -> bool:
            return True

    receiver = FeedReceiver(AllEnrolled())
    for number in range(FEEDS_MAX):
        receiver.receive(message(HAVE, number.to_bytes(16, "big"), 0, 1, 0))
    with pytest.raises(LimitError):
        receiver.receive(message(HAVE, F16, 0, 1, 0))
    sender = FeedSender(Source())
    sender.outgoing()
    for number in range(REFUSALS_KEPT * 2):
        sender.receive(message(NO, NAME[0], number, "no" * 500))
    assert REFUSALS_KEPT == len(sender.refusals)
    assert max(len(text) for _, _, text in sender.refusals) <= 200


# Any sequence of messages ------------------------------------------------------------------------

GOOD = [
    message(HAVE, *NAME, 7, 6),
    message(HAVE, *NAME, 0, -1),
    message(HAVE, F16, 0, 3, 2),
    message(HEAD, HEAD_BYTES),
    message(HEAD, FEED.head(2).encode()),
    message(GRANT, *NAME, 1, 0, b"box"),
    message(WANT, *NAME, 0, 1000),
    message(WANT, *NAME, 5, 1 << 40),
    message(STATE, *NAME, 3, 2),
    message(NO, NAME[0], 4, "later"),
    *(item for height, parts in enumerate(PARTS) for item in block_messages(NAME, height, parts)),
]
NUMBERS = st.integers(-3, 1 << 64 - 1) | st.sampled_from([1 << 16, 1 << 32, 1 << 63, (1 << 64) - 1])
FIELDS = NUMBERS | st.binary(max_size=20) | st.just(NAME[0]) | st.text(max_size=5) | st.none()
STRANGE = st.builds(
    lambda kind, fields: message(kind, *fields), st.integers(0, 9), st.lists(FIELDS, max_size=7)
)
MESSAGES = st.sampled_from(GOOD) | STRANGE | st.binary(max_size=30)


@given(st.lists(MESSAGES, max_size=30))
@settings(max_examples=150, deadline=None)
def test_no_sequence_of_messages_breaks_a_receiver_or_accuses_the_feed(items: list[bytes]) -> None:
    sink = Sink()
    receiver = FeedReceiver(sink)
    for item in items:
        try:
            answers = receiver.receive(item)
        except InputError:
            continue
        for answer in answers:
            kind, fields = decode_message(answer)
            assert (kind, fields[1:2]) != (NO, [NO_CONFLICT])
    assert PARTS[: len(sink.blocks)] == sink.blocks


@given(st.lists(MESSAGES, max_size=20))
@settings(max_examples=100, deadline=None)
def test_no_sequence_of_messages_breaks_a_sender(items: list[bytes]) -> None:
    sender = FeedSender(Source())
    sender.outgoing()
    for item in items:
        try:
            sender.receive(item)
        except InputError:
            continue
        for out in sender.outgoing():
            decode_message(out)


@given(st.lists(st.integers(0, len(GOOD) - 1), max_size=40), st.randoms())
@settings(max_examples=60, deadline=None)
def test_lost_and_repeated_messages_are_made_good_by_the_next_connection(
    lost: list[int], random: Any
) -> None:
    sink = Sink()
    sender, receiver = FeedSender(Source()), FeedReceiver(sink)
    for _ in range(4):
        for item in sender.outgoing():
            if random.random() < 0.2:
                continue
            try:
                answers = receiver.receive(item)
            except InputError:
                break
            for answer in answers:
                sender.receive(answer)
    pump(FeedSender(Source()), FeedReceiver(sink))
    assert (PARTS, 6) == (sink.blocks, sink.held(NAME)[1])
    assert decode(GOOD[0])


def test_the_newest_notice_of_each_topic_is_kept_for_a_feed_that_was_offered() -> None:
    sender = FeedSender(Source())
    sender.outgoing()
    for data in (b"first", b"second"):
        sender.receive(message(NOTICE, NAME[0], 1, data))
    sender.receive(message(NOTICE, NAME[0], 2, b"other"))
    assert {(NAME[0], 1): b"second", (NAME[0], 2): b"other"} == sender.notices


@pytest.mark.parametrize(
    "data",
    [
        message(NOTICE, bytes(16), 1, b""),
        message(NOTICE, NAME[0], 16, b""),
        message(NOTICE, NAME[0], -1, b""),
        message(NOTICE, NAME[0], 1, bytes(NOTICE_BYTES_MAX + 1)),
    ],
)
def test_a_notice_about_nothing_offered_or_beyond_its_bounds_ends_the_connection(
    data: bytes,
) -> None:
    sender = FeedSender(Source())
    sender.outgoing()
    with pytest.raises(InputError):
        sender.receive(data)
    assert {} == sender.notices


def test_what_a_peer_asks_for_says_what_it_holds() -> None:
    sender = FeedSender(Source())
    sender.outgoing()
    sender.receive(message(WANT, *NAME, 9, ALLOWED_BYTES))
    assert {NAME: (9, -1)} == sender.held_by_peer
