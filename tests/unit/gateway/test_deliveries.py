from firmware_bridge.devices import Arrival
from gateway.deliveries import DIGEST_BYTES, MARK, RECENT_MAX, Deliveries, is_mark
from ledger.entry import encode_entry
from tests.fakes.gateway_parts import arrival, celsius, genesis_entry


def message(number: int, *, again: bool = False, qos: int = 1) -> Arrival:
    digest = number.to_bytes(DIGEST_BYTES, "big")
    return arrival(celsius(), qos=qos, redelivered=again, payload_digest=digest if qos else None)


def test_a_redelivered_message_that_is_durable_is_no_second_reading() -> None:
    deliveries = Deliveries()
    deliveries.mark([message(7)])
    again = message(7, again=True)
    assert ([again], 1) == (deliveries.repeated_in([again]), deliveries.repeated)


def test_an_equal_but_new_message_is_a_reading_of_its_own() -> None:
    deliveries = Deliveries()
    deliveries.mark([message(7)])
    assert [] == deliveries.repeated_in([message(7)])


def test_a_redelivered_message_that_never_became_durable_is_taken() -> None:
    assert [] == Deliveries().repeated_in([message(7, again=True)])


def test_marks_survive_a_restart_in_the_journal() -> None:
    before = Deliveries()
    frames = [before.mark([message(1), message(2)]), before.mark([message(3)])]
    after = Deliveries(frame for frame in frames if frame)
    repeated = [message(number, again=True) for number in (1, 2, 3, 4)]
    assert repeated[:3] == after.repeated_in(repeated)


def test_the_first_delivery_may_stand_in_the_same_group() -> None:
    again = message(7, again=True)
    assert [again] == Deliveries().repeated_in([message(7), again])
    assert [] == Deliveries().repeated_in([again, message(7)])


def test_what_nobody_can_repeat_leaves_no_mark() -> None:
    deliveries = Deliveries()
    assert deliveries.mark([]) is None
    assert deliveries.mark([message(1, qos=0), arrival(celsius())]) is None


def test_a_mark_cannot_be_taken_for_an_entry_nor_an_entry_for_a_mark() -> None:
    frame = Deliveries().mark([message(1)])
    assert frame == MARK + (1).to_bytes(DIGEST_BYTES, "big")
    assert is_mark(frame)
    assert not is_mark(encode_entry(genesis_entry()))


def test_a_packet_id_that_has_come_round_again_names_another_message() -> None:
    # Packet ids are 16 bits: an equal payload under the same id may be a new, unjournaled message.
    deliveries = Deliveries()
    for number in range(65_535):
        deliveries.mark([message(number)])
    asked = [message(number, again=True) for number in (0, 65_535 - RECENT_MAX, 65_534)]
    assert asked[1:] == deliveries.repeated_in(asked)
