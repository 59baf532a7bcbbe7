"""Registering contracts and binding consignments: who must sign, and what is refused."""

from __future__ import annotations

import resource
import time
from dataclasses import replace

import pytest

from consortium.app.contracts import binding_digest
from consortium.app.refusal import Code
from consortium.transaction import KIND_BIND, KIND_CONTRACT
from ledger.canonical import decode, encode
from logistics.rules.contract import CORE_BYTES_MAX, decode_core
from logistics.rules.drafting import TEMPLATES
from logistics.rules.errors import RuleError
from tests.fakes.agreement import CARRIER, CONSIGNMENT, SHIPPER, Agreement, contract, cosigned
from tests.fakes.small_chain import admission, party_id
from tests.fakes.trip import MINUTE_MS, START_MS, Trip

SPAN = (START_MS + MINUTE_MS, START_MS + 60 * MINUTE_MS)


@pytest.fixture
def made() -> Agreement:
    trip = Trip()
    trip.drive([2_000] * 60)
    return Agreement(trip)


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_template_can_be_registered(made: Agreement, name: str) -> None:
    assert made.register(contract(name)) == Code.ACCEPTED
    assert made.register(contract(name)) == Code.ACCEPTED, "the same again is harmless"


def test_all_parties_must_sign_and_nobody_else(made: Agreement) -> None:
    core = made.drafted.core
    assert made.code(admission("stranger")) == Code.ACCEPTED
    rows = cosigned(KIND_CONTRACT, core.digest)
    for wrong in (
        rows[:1],
        rows[::-1],
        [*rows, rows[1]],
        cosigned(KIND_CONTRACT, core.digest, (CARRIER, SHIPPER, "stranger")),
        cosigned(KIND_CONTRACT, core.digest, (CARRIER, "stranger")),
        cosigned(KIND_BIND, core.digest),
        cosigned(KIND_CONTRACT, bytes(32)),
        [[rows[0][0], rows[1][1]], [rows[1][0], rows[0][1]]],
    ):
        body = [1, core.encode(), wrong]
        assert made.send(KIND_CONTRACT, body) == Code.COSIGNATURE_WRONG
    body = [1, core.encode(), rows]
    assert made.send(KIND_CONTRACT, body, "stranger") == Code.UNAUTHORISED
    assert made.send(KIND_CONTRACT, body) == Code.ACCEPTED


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda core: core.__setitem__(0, 2), "version"),
        (lambda core: core[3].__delitem__(1), "parties"),
        (lambda core: core[3].reverse(), "parties"),
        (lambda core: core[4][0].__setitem__(1, "magic"), "operator"),
        (lambda core: core[4][0][2].__setitem__("limit", 10**9), "limit"),
        (lambda core: core[4][0][2].__setitem__("extra", 1), "unknown"),
        (lambda core: core[4][0][2].__delitem__("limit"), "missing"),
        (lambda core: core[4][2][2].__setitem__("limit", 5_000), "within all limits"),
        (lambda core: core[5][0].__setitem__(1, "warm_total_ms < 1.5"), "floating-point"),
        (lambda core: core[5][0].__setitem__(2, bytes(32)), "understands its text otherwise"),
        (lambda core: core[5].append(core[5][0]), "stands twice"),
        (lambda core: core.__setitem__(6, 5), "gap_ms"),
        (lambda core: core.__setitem__(9, 0), "clock_min"),
        (lambda core: core.__setitem__(10, "euro"), "currency"),
        (lambda core: core.append(1), "layout"),
    ],
)
def test_a_core_that_is_wrong_is_refused_by_its_field(
    made: Agreement, change: object, words: str
) -> None:
    core = decode(made.drafted.core.encode())
    change(core)  # type: ignore[operator]  # a lambda of the table
    data = encode(core)
    transaction = [1, data, cosigned(KIND_CONTRACT, bytes(32))]
    assert made.send(KIND_CONTRACT, transaction) == Code.CONTRACT_WRONG
    with pytest.raises(RuleError, match=words):
        decode_core(data)


def hostile_cores() -> dict[str, bytes]:
    core = decode(contract().core.encode())
    names = [f"f{number}" for number in range(32)]
    ring = [value for n in range(128) for value in (n % 2 * 1000 + n, n)]
    big_ring = {"ring": [0, 0, *ring, 0, 200]}
    many = [[name, "inside", {"ring": [0, 0, 0, 10, n + 1, 5]}] for n, name in enumerate(names)]
    long = "||".join(["f0==1"] * 200)
    clause = [[f"{number}", long, bytes(32)] for number in range(16)]
    return {
        "many rings": encode([*core[:4], [[n, "inside", big_ring] for n in names], *core[5:]]),
        "many long clauses": encode([*core[:4], many, clause, *core[6:]]),
        "too many bytes": encode([*core[:4], many * 200, *core[5:]]),
        "macros": encode([*core[:5], [["1", "[1].map(a," * 100 + "1" + ")" * 100, bytes(32)]],
                          *core[6:]]),
        "deep": encode([*core[:5], [["1", "(" * 900 + "1" + ")" * 900, bytes(32)]], *core[6:]]),
    }  # fmt: skip  # a table


@pytest.mark.parametrize("name", list(hostile_cores()))
def test_a_hostile_contract_is_refused_at_once(made: Agreement, name: str) -> None:
    data = hostile_cores()[name]
    before_kib, begun_s = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    code = made.send(KIND_CONTRACT, [1, data, []])
    spent_s = time.process_time() - begun_s
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib
    # The chain asks twice: what a block would come to, and the block itself.
    assert code in (Code.CONTRACT_WRONG, Code.OVERSIZED)
    assert spent_s < 0.1
    assert grown_kib < 50 << 10
    assert len(data) > CORE_BYTES_MAX or name != "too many bytes"


def test_a_binding_needs_every_partys_word_and_possible_values(made: Agreement) -> None:
    assert made.bind(*SPAN) == Code.CONTRACT_UNKNOWN
    assert made.register() == Code.ACCEPTED
    good = [CONSIGNMENT, made.drafted.core.id, *SPAN, ["probe-0"]]
    for index, value in (
        (0, b"short"),
        (2, SPAN[1]),
        (3, SPAN[0] + 367 * 86_400_000),
        (4, []),
        (4, ["b", "a"]),
        (4, ["a", "a"]),
        (4, [f"{n:03}" for n in range(65)]),
    ):
        row = [*good[:index], value, *good[index + 1 :]]
        body = [1, *row, cosigned(KIND_BIND, binding_digest(row))]
        assert made.send(KIND_BIND, body) == Code.BODY_WRONG
    other = [*good[:3], SPAN[1] + 1, good[4]]
    unsigned = [1, *other, cosigned(KIND_BIND, binding_digest(good))]
    assert made.send(KIND_BIND, unsigned) == Code.COSIGNATURE_WRONG
    assert made.bind(*SPAN) == Code.ACCEPTED
    assert made.bind(*SPAN) == Code.ACCEPTED
    assert made.bind(SPAN[0], SPAN[1] + 1) == Code.ACCEPTED, "all may agree on another end"


def test_a_contract_that_was_followed_takes_no_new_consignment(made: Agreement) -> None:
    assert made.register() == Code.ACCEPTED
    old = made.drafted.core.id
    earlier = contract(version=1)
    same = replace(earlier, core=replace(earlier.core, supersedes=old, window_ms=5))
    assert made.register(same) == Code.CONTRACT_WRONG, "not a later version"
    later = replace(earlier, core=replace(earlier.core, supersedes=old, version=2))
    assert made.register(later) == Code.ACCEPTED
    assert made.bind(*SPAN) == Code.CONTRACT_SUPERSEDED
    assert made.bind(*SPAN, contract_id=later.core.id) == Code.ACCEPTED
    second = replace(earlier, core=replace(earlier.core, supersedes=old, version=3))
    assert made.register(second) == Code.CONTRACT_SUPERSEDED


def test_the_parties_of_a_contract_are_named_in_it(made: Agreement) -> None:
    ids = [party_id(name) for name in (CARRIER, SHIPPER)]
    assert sorted(ids) == list(made.drafted.core.party_ids)
