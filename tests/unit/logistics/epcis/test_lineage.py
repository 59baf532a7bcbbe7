"""Who was inside what and when; what became of what; recalls in both directions."""

import random
import time
from typing import Any

import pytest

from logistics.epcis.errors import EventError
from logistics.epcis.event_view import EventView, view
from logistics.epcis.lineage import Lineage, Stay

ITEM, OTHER, CASE, PALLET = "urn:x:item", "urn:x:other", "urn:x:case", "urn:x:pallet"


def at(minute: int) -> int:
    return 60_000 * minute


def packing(minute: int, parent: str, children: list[str], action: str = "ADD") -> EventView:
    return EventView(
        event_id=f"{minute}-{parent}-{action}",
        kind="AggregationEvent",
        time_ms=at(minute),
        offset="+00:00",
        action=action,
        parent=parent,
        children=tuple(children),
    )


def sighting(minute: int, thing: str, **more: Any) -> EventView:
    return EventView(
        event_id=f"{minute}-{thing}-seen",
        kind="ObjectEvent",
        time_ms=at(minute),
        offset="+00:00",
        action="OBSERVE",
        things=(thing,),
        **more,
    )


def making(minute: int, inputs: list[str], outputs: list[str], name: str = "") -> EventView:
    return EventView(
        event_id=f"{minute}-made-{name}",
        kind="TransformationEvent",
        time_ms=at(minute),
        offset="+00:00",
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        transformation_id=name or None,
    )


JOURNEY = [
    sighting(0, CASE),  # before the item was in it
    packing(1, CASE, [ITEM, OTHER]),
    sighting(2, PALLET),  # before the case was on it
    packing(3, PALLET, [CASE]),
    sighting(4, PALLET),
    packing(5, PALLET, [CASE], "DELETE"),
    sighting(6, PALLET),
    sighting(7, CASE),
    packing(8, CASE, [ITEM], "DELETE"),
    sighting(9, CASE),
    sighting(10, ITEM),
]


def minutes(lineage: Lineage, thing: str) -> list[int]:
    return [step.event.time_ms // 60_000 for step in lineage.journey(thing)]


def test_an_item_has_its_cases_and_pallets_journey_for_exactly_the_time_inside() -> None:
    lineage = Lineage.of(JOURNEY)
    assert [1, 3, 4, 5, 7, 8, 10] == minutes(lineage, ITEM)
    assert (Stay(CASE, at(1), at(8)),) == lineage.stays(ITEM)
    through = {step.event.time_ms: step.through for step in lineage.journey(ITEM)}
    assert (ITEM, CASE, PALLET) == through[at(4)]
    assert [1, 3, 4, 5, 7, 9] == minutes(lineage, OTHER)  # another left, it stayed


def test_a_journey_is_the_same_in_whatever_order_events_arrive() -> None:
    expected = Lineage.of(JOURNEY).journey(ITEM)
    for seed in range(30):
        events = list(JOURNEY)
        random.Random(seed).shuffle(events)
        assert expected == Lineage.of(events).journey(ITEM)


def test_unpacking_without_names_takes_everything_out() -> None:
    lineage = Lineage.of([packing(1, CASE, [ITEM, OTHER]), packing(4, CASE, [], "DELETE")])
    assert (Stay(CASE, at(1), at(4)),) == lineage.stays(OTHER)


def test_packing_into_another_case_ends_the_stay_in_the_first() -> None:
    lineage = Lineage.of([packing(1, CASE, [ITEM]), packing(5, PALLET, [ITEM])])
    assert (Stay(CASE, at(1), at(5)), Stay(PALLET, at(5))) == lineage.stays(ITEM)


@pytest.mark.parametrize(
    "events",
    [
        [packing(1, CASE, [CASE])],
        [packing(1, CASE, [PALLET]), packing(2, PALLET, [CASE])],
        [packing(n, f"urn:x:{n}", [f"urn:x:{n + 1}"]) for n in range(14)],
    ],
)
def test_a_thing_within_itself_is_refused(events: list[EventView]) -> None:
    with pytest.raises(EventError, match=r"itself|deeper"):
        Lineage.of(events)


def test_an_event_declared_an_error_is_shown_and_counts_no_more() -> None:
    wrong = packing(1, CASE, [ITEM])
    raw = {
        "type": "AggregationEvent",
        "eventID": wrong.event_id,
        "eventTime": "1970-01-01T00:01:00Z",
        "eventTimeZoneOffset": "+00:00",
        "parentID": CASE,
        "childEPCs": [ITEM],
        "action": "ADD",
        "errorDeclaration": {"declarationTime": "1970-01-02T00:00:00Z", "reason": "did_not_occur"},
    }
    declared = view(raw, wrong.event_id)
    lineage = Lineage.of([wrong, declared, sighting(2, CASE)])
    assert () == lineage.stays(ITEM)
    assert [True, True] == [step.is_void for step in lineage.journey(ITEM)]


def test_a_recall_goes_to_every_receiver_and_back_to_every_input() -> None:
    events = [
        making(1, ["milk-1", "milk-2"], ["cream-1"]),
        making(2, ["cream-1", "sugar-1"], [f"tub-{n}" for n in range(10)]),
        packing(3, CASE, [f"tub-{n}" for n in range(5)]),
        packing(3, "urn:x:case-2", [f"tub-{n}" for n in range(5, 10)]),
        sighting(4, CASE, step="shipping", destinations=(("owning_party", "shop-1"),)),
        sighting(4, "urn:x:case-2", step="shipping", destinations=(("owning_party", "shop-2"),)),
        sighting(4, "urn:x:strange", step="shipping", destinations=(("owning_party", "shop-3"),)),
    ]
    found = Lineage.of(events).recall(["cream-1"])
    assert {"milk-1", "milk-2"} == set(found.origins)
    assert {"shop-1", "shop-2"} == set(found.receivers)
    assert {f"tub-{n}" for n in range(10)} <= found.things
    assert "sugar-1" not in found.things


def test_one_transformation_may_be_told_in_two_events() -> None:
    events = [making(1, ["a"], [], "run-1"), making(2, [], ["b"], "run-1")]
    assert {"a", "b"} == Lineage.of(events).recall(["a"]).things


def test_items_of_a_lot_follow_it_though_no_event_says_so() -> None:
    events = [sighting(1, "item-1", destinations=(("location", "shop-1"),))]
    found = Lineage.of(events).recall(["lot-1"], lots={"lot-1": {"item-1"}})
    assert {"lot-1", "item-1"} == found.things
    assert {"shop-1"} == found.receivers


def test_a_recall_over_a_hundred_thousand_items_takes_less_than_a_second() -> None:
    events = [
        making(1, [f"in-{n}"], [f"item-{n}-{m}" for m in range(100)], f"run-{n}")
        for n in range(1_000)
    ]
    events.append(making(0, ["seed"], [f"in-{n}" for n in range(1_000)], "seed"))
    lineage = Lineage.of(events)
    began = time.perf_counter()
    found = lineage.recall(["seed"])
    took_s = time.perf_counter() - began
    assert 101_001 == len(found.things)
    assert took_s < 1


def test_what_happens_to_a_holder_at_the_moment_of_unpacking_is_not_the_items() -> None:
    events = [
        packing(1, CASE, [ITEM]),
        sighting(1, CASE),
        sighting(8, CASE),
        packing(8, CASE, [ITEM], "DELETE"),
    ]
    names = [step.event.event_id for step in Lineage.of(events).journey(ITEM)]
    assert f"1-{CASE}-seen" in names
    assert f"8-{CASE}-seen" not in names
