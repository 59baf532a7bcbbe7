"""The tables `[[zone]]` and `[[plausible]]` of the configuration."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, fields

from gateway.config_table import Table
from gateway.plausibility import Channel, Limits
from gateway.zones import Place, Zone

PLACES_MAX = 64
NEIGHBOURS_MAX = 16
_MILLI_MAX = 1_000_000_000


@dataclass(frozen=True, slots=True)
class EdgeConfig:
    """What the gateway itself makes of readings: steps of goods, and marks."""

    zones: tuple[Zone, ...] = ()
    limits: dict[Channel, Limits] = field(default_factory=dict)


def parse_edge(
    zones: Sequence[Table], limits: Sequence[Table], devices: Collection[str]
) -> EdgeConfig:
    """The tables of both names. Raises ConfigError."""
    found: dict[str, Zone] = {}
    taken: set[Place] = set()
    for table in zones:
        zone = _zone(table, devices)
        if zone.name in found:
            raise table.error("name", f"{zone.name!r} is given twice")
        for place in zone.places:
            if place in taken:
                raise table.error("places", f"{_place_text(place)} is another zone's already")
        taken |= set(zone.places)
        found[zone.name] = zone
    judged: dict[Channel, Limits] = {}
    for table in limits:
        channel, rule = _limits(table, devices)
        if channel in judged:
            raise table.error("channel", f"{'/'.join(channel)} is given twice")
        judged[channel] = rule
    return EdgeConfig(tuple(found.values()), judged)


def _zone(table: Table, devices: Collection[str]) -> Zone:
    usual = {item.name: item.default for item in fields(Zone)}

    def number(key: str, low: int, high: int) -> int:
        return table.number(key, usual[key], low=low, high=high)  # type: ignore[arg-type]  # an int

    zone = Zone(
        name=table.name_text("name"),
        places=tuple(_place(table, text, devices) for text in _texts(table, "places", PLACES_MAX)),
        rssi_cdbm_min=number("rssi_cdbm_min", -12_000, 0),
        reads_min=number("reads_min", 1, 1000),
        dwell_ms_min=number("dwell_ms_min", 0, 600_000),
        gone_ms=number("gone_ms", 100, 86_400_000),
        margin_cdbm=number("margin_cdbm", 0, 5000),
        tags_max=number("tags_max", 1, 20_000),
    )
    table.done()
    if zone.gone_ms <= zone.dwell_ms_min:
        raise table.error("gone_ms", "must be more than dwell_ms_min, or no tag ever arrives")
    return zone


def _texts(table: Table, key: str, count_max: int) -> list[str]:
    values = table.get(key, list, [])
    if not 0 < len(values) <= count_max or not all(isinstance(item, str) for item in values):
        raise table.error(key, f"must be a list of 1 to {count_max} texts")
    return list(values)


def _place(table: Table, text: str, devices: Collection[str]) -> Place:
    device, _, antenna = text.partition("/")
    if device not in devices:
        raise table.error("places", f"no [[device]] has id = {device!r}")
    if not antenna:
        return device, None
    if not (antenna.isascii() and antenna.isdigit() and len(antenna) < 6):
        raise table.error("places", f'{text!r} is neither "DEVICE" nor "DEVICE/ANTENNA"')
    return device, int(antenna)


def _place_text(place: Place) -> str:
    return place[0] if place[1] is None else f"{place[0]}/{place[1]}"


def _limits(table: Table, devices: Collection[str]) -> tuple[Channel, Limits]:
    device, channel = table.name_text("device"), table.name_text("channel")
    if device not in devices:
        raise table.error("device", f"no [[device]] has id = {device!r}")
    named = table.get("neighbours", list, [])
    texts = _texts(table, "neighbours", NEIGHBOURS_MAX) if named else []
    rule = Limits(
        step_milli=_off(table.number("step_milli", 0, low=0, high=_MILLI_MAX)),
        rate_milli_per_min=table.number("rate_milli_per_min", 0, low=0, high=_MILLI_MAX),
        stuck_s=_off(table.number("stuck_s", 0, low=0, high=31_536_000)),
        stuck_reads=table.number("stuck_reads", Limits().stuck_reads, low=2, high=1_000_000),
        apart_milli=_off(table.number("apart_milli", 0, low=0, high=_MILLI_MAX)),
        neighbours=tuple(_channel(table, text, devices) for text in texts),
        speed_mm_s=_off(table.number("speed_mm_s", 0, low=0, high=1_000_000)),
        jump_mm=table.number("jump_mm", Limits().jump_mm, low=0, high=_MILLI_MAX),
        clock_ms=_off(table.number("clock_ms", Limits().clock_ms or 0, low=0, high=86_400_000)),
    )
    table.done()
    if rule.apart_milli is not None and not rule.neighbours:
        raise table.error("apart_milli", "is from neighbours: name them, neighbours = [...]")
    return (device, channel), rule


def _channel(table: Table, text: str, devices: Collection[str]) -> Channel:
    device, _, channel = text.partition("/")
    if device not in devices or not channel:
        raise table.error("neighbours", f'{text!r} is not "DEVICE/CHANNEL" of a [[device]]')
    return device, channel


def _off(number: int) -> int | None:
    return number or None
