"""The application against a few plain dictionaries: who may send, what was decided, what counts."""

import os
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from consortium.app.refusal import Code
from consortium.transaction import (
    KIND_CONFLICT,
    KIND_END_KEY,
    KIND_EPOCH,
    KIND_OPENED,
    KIND_PARTY_KEY,
    KIND_PROPOSE,
    KIND_REVOKE,
    KIND_VOTE,
    SENDER_PARTY,
    Sender,
    decode_transaction,
)
from ledger.conflict import conflict_of_heads
from tests.fakes.gateway_feed import GatewayFeed
from tests.fakes.small_chain import (
    SmallChain,
    anchors,
    delegation,
    draft,
    enrolment,
    founded_by,
    key_proof,
    party_id,
    sign,
    signer,
)

NIGHTLY = os.environ.get("WHARF_VOLUME") == "nightly"
NAMES = ("harbour", "carrier", "bank", "store")
NEEDED = 3
HEIGHT_MAX = 900
FEEDS = {name: GatewayFeed(f"gateway of {name}").grow(6) for name in NAMES[:2]}
FORKS = {name: GatewayFeed(f"gateway of {name}").grow(6, "another history") for name in FEEDS}
WHO = st.sampled_from(NAMES)
FEED = st.sampled_from(sorted(FEEDS))


@dataclass
class Feed:
    """What a model knows of a feed."""

    anchored: int | None = None  # height
    seen: set[tuple[int, int]] = field(default_factory=set)  # (epoch, height) of its anchors
    epoch: int = 0
    frozen: bool = False
    revoked: bool = False


@dataclass
class Vote:
    """What a model knows of a proposal to suspend or restore somebody."""

    proposal_id: bytes
    about: str
    restores: bool
    until: int
    yes: set[str]
    no: set[str] = field(default_factory=set)
    decided: bool = False


class Consortium(RuleBasedStateMachine):
    """Every rule says beforehand whether the chain will take what it sends."""

    def __init__(self) -> None:
        super().__init__()
        self.chain = SmallChain(founded_by(*NAMES))
        self.chain.block(*(enrolment(feed, name) for name, feed in FEEDS.items()))
        self.keys = dict(zip(NAMES, NAMES, strict=True))
        self.suspended = set[str]()
        self.feeds = {name: Feed() for name in FEEDS}
        self.votes = list[Vote]()
        self.drivers = dict[str, tuple[str, int, bool]]()  # key -> party, until, ended
        self.count = 0

    def signed(self, kind: int, body: object, name: str, key: str | None = None) -> bytes:
        """A transaction of a party, by its present key unless another is named."""
        self.count += 1
        key = key or self.keys[name]
        sender = Sender(SENDER_PARTY, party_id(name))
        nonce = b"%016d" % self.count
        return sign(draft(kind, body, key, sender=sender, nonce=nonce), key)

    def send(self, data: bytes, *, taken: bool) -> None:
        code = self.chain.code(data)
        assert (code == Code.ACCEPTED) == taken, code

    @property
    def next_height(self) -> int:
        return self.chain.app.height + 1

    @rule(name=WHO, about=WHO, restores=st.booleans(), heights=st.integers(0, 9))
    def propose(self, name: str, about: str, restores: bool, heights: int) -> None:
        until = self.next_height + heights
        data = self.signed(KIND_PROPOSE, [1, [3 if restores else 2, party_id(about)], until], name)
        fits = (about in self.suspended) == restores
        open_now = [vote for vote in self.votes if self.is_open(vote)]
        room = sum(1 for vote in open_now if name in vote.yes | {vote.about}) < 8
        taken = name not in self.suspended and fits
        if taken and not room:
            return
        self.send(data, taken=taken)
        if taken:
            yes = set() if name == about else {name}
            made = Vote(decode_transaction(data).tx_id, about, restores, until, yes)
            self.votes.append(made)
            self.settle(made)

    def is_open(self, vote: Vote) -> bool:
        return not vote.decided and vote.until >= self.next_height

    def settle(self, vote: Vote) -> None:
        voters = set(NAMES) - self.suspended - {vote.about}
        needed = min(len(voters), max(NEEDED, len(voters) // 2 + 1))
        if len(voters & vote.yes) >= needed:
            vote.decided = True
            (self.suspended.discard if vote.restores else self.suspended.add)(vote.about)
        elif len(voters - vote.no) < needed:
            vote.decided = True

    @rule(name=WHO, number=st.integers(0, 40), yes=st.booleans())
    def vote(self, name: str, number: int, yes: bool) -> None:
        if not self.votes:
            return
        made = self.votes[-1 - number % len(self.votes)]
        data = self.signed(KIND_VOTE, [1, made.proposal_id, yes], name)
        if name in self.suspended:
            self.send(data, taken=False)
            return
        if name in made.yes | made.no:
            self.send(data, taken=name in (made.yes if yes else made.no))
            return
        if not self.is_open(made) or name == made.about:
            self.send(data, taken=False)
            return
        trial = Vote(
            made.proposal_id, made.about, made.restores, made.until,
            made.yes | ({name} if yes else set()), made.no | (set() if yes else {name}),
        )  # fmt: skip  # one line as it was, one as it would be
        fits = (made.about in self.suspended) == made.restores
        voters = set(NAMES) - self.suspended - {made.about}
        decides = len(voters & trial.yes) >= min(len(voters), max(NEEDED, len(voters) // 2 + 1))
        self.send(data, taken=fits or not decides)
        if fits or not decides:
            self.votes[self.votes.index(made)] = trial
            self.settle(trial)

    @rule(name=WHO)
    def change_key(self, name: str) -> None:
        old, new = self.keys[name], f"{name} key {self.count}"
        own = signer(new)
        body = [1, own.alg, own.public_key_der(), key_proof(new, name)]
        self.send(self.signed(KIND_PARTY_KEY, body, name), taken=name not in self.suspended)
        if name not in self.suspended:
            self.keys[name] = new
            self.send(self.signed(KIND_PARTY_KEY, body, name, old), taken=False)

    @rule(name=FEED, heights=st.integers(0, 20))
    def delegate(self, name: str, heights: int) -> None:
        key, until = f"driver {self.count}", self.next_height + heights
        body = decode_transaction(
            delegation(key, name, [KIND_OPENED], title=2, until_height=until)
        ).body
        taken = name not in self.suspended
        self.send(self.signed(13, body, name), taken=taken)
        if taken:
            self.drivers[key] = (name, until, False)

    @rule(number=st.integers(0, 9), ends=st.booleans(), feed=FEED)
    def act(self, number: int, ends: bool, feed: str) -> None:
        if not self.drivers:
            return
        key = sorted(self.drivers)[number % len(self.drivers)]
        name, until, ended = self.drivers[key]
        free = name not in self.suspended
        if ends:
            self.send(self.signed(KIND_END_KEY, [1, signer(key).kid], name), taken=free)
            self.drivers[key] = (name, until, ended or free)
            return
        alive = free and not ended and until >= self.next_height
        rows = [[FEEDS[feed].feed_id, 0, self.count, 1, b"d" * 32, True]]
        self.send(self.signed(KIND_OPENED, [1, rows], name, key), taken=alive)

    @rule(name=FEED, height=st.integers(0, 5), fork=st.booleans(), epoch=st.integers(0, 2))
    def anchor(self, name: str, height: int, fork: bool, epoch: int) -> None:
        feed = self.feeds[name]
        source = FORKS[name] if fork and feed.anchored is not None else FEEDS[name]
        known = (epoch, height) in feed.seen and source is FEEDS[name]
        item = source.item(
            feed.anchored if feed.anchored is not None and feed.anchored <= height else None,
            height,
            epoch=epoch,
        )
        open_now = not (feed.revoked or feed.frozen) and epoch == feed.epoch
        newer = feed.anchored is None or height > feed.anchored
        taken = known or (open_now and newer and source is FEEDS[name])
        if source is FEEDS[name] and open_now and height == feed.anchored:
            taken = True  # the same trees again
        free = [n for n in NAMES if n not in self.suspended]
        if not free:
            return
        body = decode_transaction(anchors([item])).body
        self.send(self.signed(4, body, free[0]), taken=taken)
        if taken and not known and newer and open_now:
            feed.anchored = height
            feed.seen.add((epoch, height))

    @rule(name=FEED, by=WHO)
    def show_conflict(self, name: str, by: str) -> None:
        feed = self.feeds[name]
        both = conflict_of_heads(
            FEEDS[name].head(2, epoch=feed.epoch), FORKS[name].head(2, epoch=feed.epoch)
        )
        taken = by not in self.suspended
        self.send(self.signed(KIND_CONFLICT, [1, FEEDS[name].feed_id, 2, both], by), taken=taken)
        feed.frozen = feed.frozen or taken

    @rule(name=FEED)
    def open_epoch(self, name: str) -> None:
        feed = self.feeds[name]
        heights = [height for epoch, height in feed.seen if epoch == feed.epoch]
        height = max(heights, default=0)
        head = FEEDS[name].head(height, epoch=feed.epoch)
        body = [1, FEEDS[name].feed_id, feed.epoch + 1, head, 99]
        taken = bool(heights) and not feed.revoked and name not in self.suspended
        self.send(self.signed(KIND_EPOCH, body, name), taken=taken)
        if taken:
            feed.epoch, feed.frozen = feed.epoch + 1, False

    @rule(name=FEED, by=WHO)
    def revoke(self, name: str, by: str) -> None:
        if self.count % 7:
            return  # seldom, or there is nothing left to anchor
        taken = by not in self.suspended
        body = [1, FEEDS[name].feed_id]
        self.send(self.signed(KIND_REVOKE, body, by), taken=taken)
        self.feeds[name].revoked = self.feeds[name].revoked or taken

    @invariant()
    def the_state_says_what_the_model_says(self) -> None:
        for name in NAMES:
            row = self.chain.row("suspended", party_id(name))
            assert (row is not None and row[1] is None) == (name in self.suspended)
            party = self.chain.row("party", party_id(name))
            assert party is not None
            assert party[2] == signer(self.keys[name]).public_key_der()
        for name, feed in self.feeds.items():
            row = self.chain.row("feed", FEEDS[name].feed_id, feed.epoch)
            assert (row[0] if row else None) == feed.anchored


TestConsortium = Consortium.TestCase
TestConsortium.settings = settings(
    max_examples=10_000 if NIGHTLY else 40, stateful_step_count=25, deadline=None
)
