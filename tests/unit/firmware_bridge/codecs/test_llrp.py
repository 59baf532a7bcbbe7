"""LLRP messages against another implementation's, and what does not fit.

The properties that all decoders keep are in test_every_decoder.py.
"""

from hypothesis import given
from hypothesis import strategies as st
from llrpkit.protocol import BitStr, decode_message, enums, messages, params

from firmware_bridge.codecs.llrp import (
    MESSAGE_BYTES_MAX,
    LlrpFramer,
    Message,
    Type,
    encode_message,
    parameters,
    sightings,
    tag_report,
    tlv,
)
from firmware_bridge.codecs.llrp_reader import (
    Capabilities,
    Wish,
    event_of,
    reader_config,
    rospec,
    status_of,
)
from firmware_bridge.devices import Observation, Reason, Rejected
from logistics.reading import FLAG_STALE, FLAG_SUSPECT, TagSighting

ABLE = Capabilities(
    antennas=4,
    has_utc_clock=True,
    manufacturer=25882,
    model=1,
    firmware="",
    powers_cdbm=((1, 1000), (2, 2000), (3, 3000)),
    modes=(0, 1002),
    hop_table=1,
)
SIGHTINGS = st.builds(
    TagSighting,
    epc=st.binary(min_size=1, max_size=62),
    pc=st.none() | st.integers(0, 0xFFFF),
    rssi_cdbm=st.none() | st.integers(-128, 50).map(lambda dbm: 100 * dbm),
    antenna=st.none() | st.integers(0, 0xFFFF),
    device_time_ms=st.none() | st.integers(1, 4_000_000_000_000),
)


def message(data: bytes) -> Message:
    (found,) = LlrpFramer().feed(data)
    assert isinstance(found, Message)
    return found


def records(found: Message, wall_ms: int | None = None) -> list[object]:
    return [
        item.record if isinstance(item, Observation) else item.reason
        for item in sightings(found, wall_ms)
    ]


@given(st.lists(SIGHTINGS, max_size=4))
def test_what_is_written_is_read_by_us_and_by_others(tags: list[TagSighting]) -> None:
    data = encode_message(Type.REPORT, 7, b"".join(map(tag_report, tags)))
    assert tags == records(message(data))
    theirs = decode_message(data)
    assert isinstance(theirs, messages.RO_ACCESS_REPORT)
    assert [tag.antenna for tag in tags] == [
        item.antenna_id and item.antenna_id.antenna_id for item in theirs.tag_report_datas
    ]


@given(
    epc=st.binary(min_size=1, max_size=40),
    rssi=st.integers(-128, 50),
    count=st.integers(0, 0xFFFF),
)
def test_reports_of_another_implementation_are_read(epc: bytes, rssi: int, count: int) -> None:
    report = params.TagReportData(
        epc_parameter=params.EPCData(epc=BitStr.from_bytes(epc)),
        ro_spec_id=params.ROSpecID(ro_spec_id=9),
        antenna_id=params.AntennaID(antenna_id=3),
        peak_rssi=params.PeakRSSI(peak_rssi=rssi),
        tag_seen_count=params.TagSeenCount(tag_count=count),
        last_seen_timestamp_utc=params.LastSeenTimestampUTC(microseconds=5_999),
    )
    data = messages.RO_ACCESS_REPORT(tag_report_datas=[report]).to_bytes(message_id=1)
    expected = TagSighting(epc=epc, antenna=3, rssi_cdbm=100 * rssi, device_time_ms=5)
    assert [expected] == records(message(data))


def test_our_rospec_says_to_others_what_was_wished() -> None:
    wish = Wish(antennas=(1, 3), power_cdbm=2550, mode=1002, session=2)
    theirs = decode_message(encode_message(Type.ADD_ROSPEC, 1, rospec(ABLE, wish)))
    assert isinstance(theirs, messages.ADD_ROSPEC)
    (antennas,) = theirs.ro_spec.spec_parameters
    assert isinstance(antennas, params.AISpec)
    (settings,) = antennas.inventory_parameter_specs[0].antenna_configurations
    (command,) = settings.air_protocol_inventory_command_settings
    assert [1, 3] == antennas.antenna_ids
    assert settings.rf_transmitter is not None
    power = settings.rf_transmitter
    assert (1, 0, 2) == (power.hop_table_id, power.channel_index, power.transmit_power)
    assert command.c1_g2_rf_control is not None
    assert command.c1_g2_singulation_control is not None
    assert 1002 == command.c1_g2_rf_control.mode_index
    assert 2 == command.c1_g2_singulation_control.session
    assert theirs.ro_spec.ro_report_spec is not None
    content = theirs.ro_spec.ro_report_spec.tag_report_content_selector
    asked = (content.enable_antenna_id, content.enable_peak_rssi, content.enable_channel_index)
    assert (True, True, False) == asked
    assert content.air_protocol_epc_memory_selectors[0].enable_pc_bits


def test_nothing_is_set_that_was_not_asked_for() -> None:
    theirs = decode_message(encode_message(Type.ADD_ROSPEC, 1, rospec(ABLE, Wish())))
    assert isinstance(theirs, messages.ADD_ROSPEC)
    (antennas,) = theirs.ro_spec.spec_parameters
    assert isinstance(antennas, params.AISpec)
    assert [0] == antennas.antenna_ids
    assert [] == antennas.inventory_parameter_specs[0].antenna_configurations


def test_the_events_that_we_ask_for_are_exceptions_antennas_and_full_buffers() -> None:
    theirs = decode_message(encode_message(Type.SET_CONFIG, 1, reader_config(2_000)))
    assert isinstance(theirs, messages.SET_READER_CONFIG)
    assert theirs.keepalive_spec is not None
    assert 2_000 == theirs.keepalive_spec.periodic_trigger_value
    assert theirs.reader_event_notification_spec is not None
    assert [3, 4, 8] == [
        state.event_type
        for state in theirs.reader_event_notification_spec.event_notification_states
        if state.notification_state
    ]


def test_an_error_of_the_reader_keeps_its_words_but_nothing_unprintable() -> None:
    status = params.LLRPStatus(
        status_code=enums.StatusCode.M_ParameterError, error_description="no\x1b[2Jsuch"
    )
    data = messages.ADD_ROSPEC_RESPONSE(llrp_status=status).to_bytes(message_id=1)
    assert (100, "no?[2Jsuch") == status_of(message(data))


def test_a_clock_that_is_an_hour_off_marks_the_reading() -> None:
    wall_ms = 1_795_428_900_000
    for ahead_ms, flag in ((3_600_001, FLAG_SUSPECT), (-3_600_001, FLAG_STALE), (3_600_000, 0)):
        tag = TagSighting(epc=b"\x01", device_time_ms=wall_ms + ahead_ms)
        (found,) = records(message(encode_message(Type.REPORT, 1, tag_report(tag))), wall_ms)
        assert isinstance(found, TagSighting)
        assert (flag, tag.device_time_ms) == (found.flags, found.device_time_ms)


def test_what_does_not_fit_is_rejected_whole() -> None:
    good = tag_report(TagSighting(epc=bytes(12), antenna=1))
    for body in (good[:-1], good + b"\x00", good + b"\xf0\x00", tlv(240, b"\x81\x00\x01")):
        assert Reason.FRAME in records(Message(Type.REPORT, 1, body))
    for bits in (0, 97, 8 * 63):
        data = tlv(240, tlv(241, bits.to_bytes(2, "big") + bytes(63 if bits > 100 else 12)))
        assert [Reason.FRAME] == records(Message(Type.REPORT, 1, data))


def test_a_signal_that_no_tag_can_send_is_rejected() -> None:
    body = tag_report(TagSighting(epc=bytes(12), rssi_cdbm=5_100))
    assert [Reason.FIELD] == records(Message(Type.REPORT, 1, body))


def test_reserved_bits_and_false_lengths_are_no_parameters() -> None:
    assert parameters(b"\x00\xf0\x00\x03") is None
    assert parameters(b"\x04\xf0\x00\x04") is None
    assert parameters(b"\x00\xf0") is None
    assert [] == parameters(b"")


def test_the_longest_message_is_taken_and_a_longer_one_is_noise() -> None:
    longest = encode_message(Type.KEEPALIVE, 1, bytes(MESSAGE_BYTES_MAX - 10))
    assert Type.KEEPALIVE == message(longest).type
    longer = encode_message(Type.KEEPALIVE, 1, bytes(MESSAGE_BYTES_MAX - 9))
    assert all(isinstance(item, Rejected) for item in LlrpFramer().feed(longer))


def test_an_event_without_contents_says_nothing() -> None:
    event = event_of(Message(Type.READER_EVENT, 1, b"\x00"))
    assert (None, False, None, False) == (
        event.utc_us,
        event.is_greeting,
        event.refusal,
        event.is_closing,
    )
