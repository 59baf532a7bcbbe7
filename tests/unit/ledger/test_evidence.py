from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import evidence as evidence_module
from ledger.canonical import decode, encode
from ledger.evidence import Evidence, Judgement, Opinion, decode_evidence, examine_run, judge
from tests.unit.ledger.bad_runs import AT, BAD_RUNS, accusation, feed_with
from tests.unit.ledger.feed_builder import FeedBuilder, seed

HONEST = feed_with()
FAIR = accusation(HONEST)


def judged(evidence: Evidence) -> Judgement:
    return judge(evidence.encode(), HONEST.key)


@pytest.mark.parametrize("name", BAD_RUNS)
def test_proven_bad(name: str) -> None:
    reason, made = BAD_RUNS[name]
    feed = made()
    found = judge(accusation(feed).encode(), feed.key)
    assert (Opinion.BAD, reason) == (found.opinion, found.reason), found.text


def test_every_reason_of_the_closed_list_has_a_bad_run() -> None:
    assert set(range(1, 12)) == {reason for reason, _ in BAD_RUNS.values()}


@pytest.mark.parametrize("name", BAD_RUNS)
def test_a_reader_finds_the_same_and_can_show_it(name: str) -> None:
    reason, made = BAD_RUNS[name]
    feed = made()
    header, run = feed.blocks[AT].header, feed.run(AT, 1)
    assert run is not None
    examined = examine_run(header, run, [seed("an old key"), feed.keys[1].key])
    assert examined.judgement is not None
    assert (Opinion.BAD, reason) == (examined.judgement.opinion, examined.judgement.reason)
    assert accusation(feed).run_key == examined.run_key


def test_a_run_that_opens_is_no_proof_of_anything_bad() -> None:
    assert Opinion.NO_PROOF == judged(FAIR).opinion
    run = HONEST.run(AT, 1)
    assert run is not None
    examined = examine_run(HONEST.headers[AT], run, [HONEST.keys[1].key])
    assert examined.opened is not None
    assert 8 == len(examined.opened.entries)


def test_a_run_that_no_granted_key_fits_is_not_granted() -> None:
    run = HONEST.run(AT, 1)
    assert run is not None
    for granted in ([], [HONEST.keys[2].key, bytes(32)]):
        examined = examine_run(HONEST.headers[AT], run, granted)
        assert examined.judgement is not None
        assert Opinion.NOT_GRANTED == examined.judgement.opinion


# Framing an honest gateway ------------------------------------------------------------------------

OTHER_RUN = HONEST.run(2, 1)
assert OTHER_RUN is not None
OWN_RUN = HONEST.run(AT, 1)
assert OWN_RUN is not None
FRAMED: dict[str, Evidence] = {
    "with a wrong key": replace(FAIR, run_key=seed("made up")),
    "with an altered ciphertext": replace(FAIR, ciphertext=FAIR.ciphertext[:-1] + b"\x00"),
    "with a shorter ciphertext": replace(FAIR, ciphertext=FAIR.ciphertext[:-1]),
    "with another run's ciphertext": replace(FAIR, ciphertext=OTHER_RUN.ciphertext),
    "with another run's body": replace(FAIR, run_body=OTHER_RUN.body.encode()),
    "with another run's head": replace(FAIR, run_head=OTHER_RUN.head.encode()),
    "with another block's whole run": replace(
        FAIR,
        run_head=OTHER_RUN.head.encode(),
        run_body=OTHER_RUN.body.encode(),
        ciphertext=OTHER_RUN.ciphertext,
    ),
    "with a subtree changed in the body": replace(
        FAIR, run_body=replace(OWN_RUN.body, subtrees=(bytes(32),)).encode()
    ),
    "with another audience's name": replace(FAIR, audience=2),
    "with another block's header": replace(FAIR, header=HONEST.headers[2].encode()),
    "with a wrong path": replace(FAIR, header_path=(bytes(32), *FAIR.header_path[1:])),
    "with a path cut short": replace(FAIR, header_path=FAIR.header_path[:-1]),
}  # fmt: skip


@pytest.mark.parametrize("lie", FRAMED)
def test_an_honest_gateway_is_never_called_bad(lie: str) -> None:
    assert Opinion.NO_PROOF == judged(FRAMED[lie]).opinion


def test_a_bad_run_under_a_head_that_another_key_signed_is_undecided() -> None:
    _, made = BAD_RUNS["a skipped number"]
    bad = made()
    framed = accusation(bad)
    assert Opinion.BAD == judge(framed.encode(), bad.key).opinion
    found = judge(framed.encode(), FeedBuilder("somebody honest").key)
    assert Opinion.UNDECIDED == found.opinion


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x80", encode([1, 2]), encode([2] * 8)])
def test_what_is_no_evidence_is_undecided(data: bytes) -> None:
    assert Opinion.UNDECIDED == judge(data, HONEST.key).opinion


def test_anything_that_breaks_the_judge_is_undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(evidence_module, "_open", broken)
    assert Opinion.UNDECIDED == judged(FAIR).opinion


@pytest.mark.parametrize(
    ("check", "lie"),
    [
        ("check_bound", "with a subtree changed in the body"),
    ],
)
def test_without_the_check_of_what_is_bound_an_honest_gateway_would_be_called_bad(
    check: str, lie: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence_module, check, lambda *_: None)
    assert Opinion.BAD == judged(FRAMED[lie]).opinion


def test_every_changed_byte_of_fair_evidence_leaves_the_gateway_alone() -> None:
    good = FAIR.encode()
    for at in range(len(good)):
        bad = good[:at] + bytes([good[at] ^ 1 << at % 8]) + good[at + 1 :]
        assert Opinion.BAD != judge(bad, HONEST.key).opinion, at


PARTS = ("head", "header", "run_head", "run_body", "ciphertext", "run_key")


@given(st.sampled_from(PARTS), st.binary(max_size=80), st.integers(0, 200))
@settings(max_examples=150, deadline=None)
def test_no_bytes_of_an_accuser_make_an_honest_gateway_bad(part: str, junk: bytes, at: int) -> None:
    old = getattr(FAIR, part)
    for new in (junk, old[:at] + junk + old[at:], old[:at] + junk + old[at + len(junk) :]):
        assert Opinion.BAD != judged(replace(FAIR, **{part: new})).opinion  # type: ignore[arg-type]  # bytes all


def test_evidence_comes_back_from_its_bytes() -> None:
    assert FAIR == decode_evidence(FAIR.encode())
    assert 8 == len(decode(FAIR.encode()))
