"""GNSS receivers that talk by themselves: NMEA 0183 sentences, UBX NAV-PVT mixed in."""

from firmware_bridge.codecs.nmea import NmeaDecoder, holds_sentence
from firmware_bridge.driver import LINES, Driver, Listening

DRIVER = Driver(
    title="GNSS receiver: NMEA 0183, u-blox UBX NAV-PVT",
    schemes=LINES,
    session=lambda _: Listening(NmeaDecoder()),
    recognises=holds_sentence,
)
