"""The gateway's configuration: TOML read once into frozen records; unknown keys are refused with
their line.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from firmware_bridge.bridge import check_spec
from firmware_bridge.devices import DeviceSpec
from firmware_bridge.driver_registry import driver_names
from firmware_bridge.errors import SpecError
from firmware_bridge.keys.tpm_counter import TpmCounter
from gateway.alarms import LIMIT_EXPONENT, AlarmRule
from gateway.config_table import Table, hex_bytes, line_of
from gateway.edge_config import EdgeConfig, parse_edge
from gateway.errors import ConfigError
from gateway.neighbour_config import NeighbourConfig, RelayConfig, parse_neighbours, parse_relay
from gateway.retention import RetentionPolicy
from logistics.errors import NumberError
from logistics.health import SECONDS_MAX
from logistics.units import parse_decimal, rescale

READERS_MIN: Final = 2
READER_KEY_BYTES: Final = 32
AUDIENCE_MAX: Final = 65_535
# What a configuration from elsewhere may not say: it could cut the box off from its own feed.
OWN_TABLES: Final = frozenset(
    {"gateway", "key", "status", "consortium", "site", "relay", "neighbour"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SealConfig:
    """When a block is cut. `idle_s`: a block is cut after this long even if nothing came."""

    count: int = 4096  # entries, 1 to 60_000
    interval_s: int = 30  # seconds since the first waiting entry, 1 to 3600
    idle_s: int = 300  # seconds, 1 to 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusConfig:
    """Where /healthz, /metrics and /status.json are served; loopback unless told otherwise."""

    host: str = "127.0.0.1"
    port: int = 8377  # 0: any free port, written to status.port in the data directory


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteConfig:
    """Whether the organisation may send this box a configuration, and how long one is on trial."""

    accept: bool = True
    trial_s: int = 600  # by then everyone who spoke before must speak again; 5 to 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where the configuration came from: this box's file, the organisation, or an emergency on the
    spot. text: the bytes that won over the box's file, if any.
    """

    kind: int = 0
    version: int = 0
    reason: str = ""
    text: bytes | None = None


ORIGIN_FILE, ORIGIN_SITE, ORIGIN_OVERRIDE = range(3)


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskConfig:
    """What the disk's maker promises. endurance_gb: gigabytes that may be written; 0: unknown."""

    endurance_gb: int = 0  # 0 to 100_000_000
    years_min: int = 3  # the doctor is red below this, 1 to 50


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerConfig:
    """The MQTT broker on the box."""

    host: str = "127.0.0.1"
    port: int = 1883
    persistent: bool = True  # false: the broker keeps nothing while this box is away
    username: str | None = None
    password_file: Path | None = None
    ca_file: Path | None = None  # set: TLS, and the broker's certificate must be signed by this
    client_id: str = (
        ""  # empty: "wharf-" and the gateway's name; the broker keeps the session by it
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerConfig:
    """A chain machine of the consortium to which the feed is carried."""

    address: str
    certificate: Path
    genesis_sha256: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class AudienceConfig:
    """A set of readers. readers: X25519 public keys."""

    id: int
    name: str
    readers: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceConfig:
    """A device and the audience that may read it."""

    spec: DeviceSpec
    audience: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayConfig:
    """All that `wharf gateway run` is told."""

    path: Path
    name: str
    party: str
    data_dir: Path
    development: bool
    key_uri: str
    key_counter: str | None = None
    key_counter_every_s: int = 600
    seal: SealConfig = SealConfig()
    status: StatusConfig = StatusConfig()
    retention: RetentionPolicy = field(default_factory=RetentionPolicy)
    broker: BrokerConfig = BrokerConfig()
    peers: tuple[PeerConfig, ...] = ()
    audiences: tuple[AudienceConfig, ...] = ()
    devices: tuple[DeviceConfig, ...] = ()
    edge: EdgeConfig = field(default_factory=EdgeConfig)
    site: SiteConfig = SiteConfig()
    origin: Origin = Origin()
    alarms: tuple[AlarmRule, ...] = ()
    disk: DiskConfig = DiskConfig()
    relay: RelayConfig = field(default_factory=RelayConfig)
    neighbours: tuple[NeighbourConfig, ...] = ()


_TABLES: Final = (
    "alarm", "audience", "broker", "consortium", "device", "disk", "gateway", "key",
    "neighbour", "plausible", "relay", "retention", "seal", "site", "status", "zone",
)  # fmt: skip  # names, not rows


def read_config(path: Path) -> GatewayConfig:
    """The configuration in a file; raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        mend = f"cannot be read ({error.strerror}); `wharf gateway init` writes one"
        raise ConfigError(path, None, "file", mend) from error
    except UnicodeDecodeError as error:
        mend = f"is no text in UTF-8 (byte {error.start}); save it as UTF-8"
        raise ConfigError(path, None, "file", mend) from error
    return parse_config(text, path)


def parse_config(text: str, path: Path) -> GatewayConfig:
    """The configuration in a text; relative paths are meant from the file's folder."""
    return _Reader(path, text, _tables(text, path)).config()


def parse_over(path: Path, origin: Origin, label: str) -> GatewayConfig:
    """The configuration of a file with the tables of `origin.text` in the place of its own.

    What makes the box itself (OWN_TABLES) only its own file may say. label: names the text in
    errors. Raises ConfigError.
    """
    try:
        text = (origin.text or b"").decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(label, None, "file", f"is no UTF-8 (byte {error.start})") from error
    values = _tables(text, label)
    _refuse_own(values, text, label)
    own = _tables(path.read_text(encoding="utf-8"), path)
    return _Reader(path, text, {**own, **values}, label=label, origin=origin).config()


def check_sendable(file: Path) -> bytes:
    """The bytes of a file that may be sent to a gateway, as far as a desk can tell.

    Raises ConfigError. Whether its ports and brokers are there, the gateway finds out.
    """
    try:
        data = file.read_bytes()
        text = data.decode("utf-8")
    except OSError as error:
        raise ConfigError(file, None, "file", f"cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ConfigError(file, None, "file", f"is no UTF-8 (byte {error.start})") from error
    values = _tables(text, file)
    _refuse_own(values, text, file)
    if "device" in values and "audience" not in values:
        mend = "missing: a configuration that names devices names their readers too"
        raise ConfigError(file, None, "audience", mend)
    _Reader(file, text, {**_STAND_IN, **values}).config()
    return data


def _refuse_own(values: Mapping[str, Any], text: str, named: object) -> None:
    for name in OWN_TABLES.intersection(values):
        line = line_of(text, name, "", number_of=0)
        raise ConfigError(named, line, name, "belongs to the box itself; leave it out")


# What the box's own file would say, where only the rest of a configuration is looked at.
_STAND_IN: Final[Mapping[str, Any]] = {
    "gateway": {"name": "any", "party": "any", "data_dir": "any", "development": True},
    "key": {"uri": "any"},
}


def _tables(text: str, named: object) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(named, None, "TOML", str(error)) from error


class _Reader:
    """Takes the tables of one file apart."""

    def __init__(
        self,
        path: Path,
        text: str,
        values: Mapping[str, Any],
        *,
        label: str | None = None,
        origin: Origin | None = None,
    ) -> None:
        self._path, self._text, self._values = path, text, values
        self._named: object = label or path
        self._origin = origin or Origin()

    def config(self) -> GatewayConfig:
        for name in self._values:
            if name not in _TABLES:
                table = Table(self._named, self._text, "", self._values)
                raise table.error(name, f"unknown table; known are {', '.join(_TABLES)}")
        main = self._table("gateway")
        key = self._table("key")
        development = main.get("development", bool, default=False)
        audiences = self._audiences(development)
        devices = self._devices({audience.id for audience in audiences})
        ids = {device.spec.id for device in devices}
        config = GatewayConfig(
            path=self._path,
            name=main.name_text("name"),
            party=main.name_text("party"),
            data_dir=self._file(main.get("data_dir", str)),
            development=development,
            key_uri=key.get("uri", str),
            key_counter=self._counter(key),
            key_counter_every_s=key.number("counter_every_s", 600, low=0, high=86_400),
            seal=self._seal(),
            status=self._status(),
            retention=self._retention(),
            broker=self._broker(),
            peers=tuple(self._peer(table) for table in self._rows("consortium")),
            audiences=audiences,
            edge=parse_edge(self._rows("zone"), self._rows("plausible"), ids),
            site=self._site(),
            origin=self._origin,
            devices=devices,
            alarms=self._alarms(ids),
            disk=self._disk(),
            relay=parse_relay(self._table("relay")),
            neighbours=parse_neighbours(self._rows("neighbour"), self._path.parent),
        )
        main.done()
        key.done()
        return config

    def _table(self, name: str) -> Table:
        values = self._values.get(name, {})
        if not isinstance(values, dict):
            raise ConfigError(self._named, None, name, f"must be a table: [{name}]")
        return Table(self._named, self._text, name, values)

    def _rows(self, name: str) -> list[Table]:
        rows = self._values.get(name, [])
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ConfigError(self._named, None, name, f"must be written as [[{name}]]")
        return [Table(self._named, self._text, name, row, n) for n, row in enumerate(rows)]

    def _counter(self, table: Table) -> str | None:
        uri: str | None = table.get("counter", str, None)
        try:
            if uri is not None:
                TpmCounter(uri)
        except SpecError as error:
            raise table.error("counter", error.reason) from error
        return uri

    def _optional_file(self, table: Table, key: str) -> Path | None:
        name = table.get(key, str, None)
        return None if name is None else self._file(name)

    def _file(self, name: str) -> Path:
        return (self._path.parent / Path(name).expanduser()).absolute()

    def _seal(self) -> SealConfig:
        table = self._table("seal")
        seal = SealConfig(
            count=table.number("count", SealConfig().count, low=1, high=60_000),
            interval_s=table.number("interval_s", SealConfig().interval_s, low=1, high=3600),
            idle_s=table.number("idle_s", SealConfig().idle_s, low=1, high=86_400),
        )
        table.done()
        return seal

    def _status(self) -> StatusConfig:
        table = self._table("status")
        status = StatusConfig(
            host=table.get("host", str, StatusConfig().host),
            port=table.number("port", StatusConfig().port, low=0, high=65_535),
        )
        table.done()
        return status

    def _retention(self) -> RetentionPolicy:
        table, default = self._table("retention"), RetentionPolicy()
        policy = RetentionPolicy(
            keep_days=table.number("keep_days", default.keep_days, low=0, high=36_500),
            used_percent_max=table.number(
                "used_percent_max", default.used_percent_max, low=1, high=95
            ),
            mirrors=table.number("mirrors", default.mirrors, low=0, high=100),
            opened=table.get("opened", bool, default=default.opened),
        )
        table.done()
        return policy

    def _site(self) -> SiteConfig:
        table = self._table("site")
        site = SiteConfig(
            accept=table.get("accept", bool, default=True),
            trial_s=table.number("trial_s", SiteConfig().trial_s, low=5, high=86_400),
        )
        table.done()
        return site

    def _broker(self) -> BrokerConfig:
        table = self._table("broker")
        broker = BrokerConfig(
            host=table.get("host", str, BrokerConfig().host),
            port=table.number("port", BrokerConfig().port, low=1, high=65_535),
            persistent=table.get("persistent", bool, default=True),
            username=table.get("username", str, None),
            password_file=self._optional_file(table, "password_file"),
            ca_file=self._optional_file(table, "ca_file"),
            client_id=table.get("client_id", str, ""),
        )
        table.done()
        return broker

    def _peer(self, table: Table) -> PeerConfig:
        peer = PeerConfig(
            address=table.get("address", str),
            certificate=self._file(table.get("certificate", str)),
            genesis_sha256=table.hex("genesis_sha256", 32),
        )
        table.done()
        return peer

    def _audiences(self, development: bool) -> tuple[AudienceConfig, ...]:  # noqa: FBT001  # private, one caller
        audiences: dict[int, AudienceConfig] = {}
        for table in self._rows("audience"):
            audience = self._audience(table, development)
            if audience.id in audiences:
                raise table.error("id", f"{audience.id} is another audience's already")
            audiences[audience.id] = audience
        return tuple(audiences.values())

    def _audience(self, table: Table, development: bool) -> AudienceConfig:  # noqa: FBT001  # private, one caller
        keys = table.get("readers", list)
        readers = tuple(
            hex_bytes(table, "readers", key, size_bytes=READER_KEY_BYTES) for key in keys
        )
        if len(set(readers)) < READERS_MIN and not development:
            mend = "needs two readers at least, one of them a recovery key that is kept offline"
            raise table.error("readers", mend)
        audience = AudienceConfig(
            id=table.number("id", 0, low=1, high=AUDIENCE_MAX),
            name=table.get("name", str),
            readers=readers,
        )
        table.done()
        return audience

    def _devices(self, audiences: set[int]) -> tuple[DeviceConfig, ...]:
        devices: dict[str, DeviceConfig] = {}
        for table in self._rows("device"):
            device = self._device(table, audiences)
            if device.spec.id in devices:
                raise table.error("id", f"{device.spec.id!r} is given twice")
            devices[device.spec.id] = device
        return tuple(devices.values())

    def _alarms(self, devices: set[str]) -> tuple[AlarmRule, ...]:
        rules: list[AlarmRule] = []
        for table in self._rows("alarm"):
            device = table.name_text("device")
            if device not in devices:
                raise table.error("device", f"no [[device]] has id = {device!r}")
            found = self._alarm(table, (device, table.name_text("channel")))
            taken = {(rule.channel, rule.above) for rule in rules}
            if taken & {(rule.channel, rule.above) for rule in found}:
                raise table.error("channel", f"{found[0].channel[1]!r} has such a limit already")
            rules += found
        return tuple(rules)

    def _alarm(self, table: Table, channel: tuple[str, str]) -> list[AlarmRule]:
        """One rule for each limit of a table."""
        for_s = table.number("for_s", 600, low=0, high=SECONDS_MAX)
        settle_s = table.number("settle_s", 300, low=0, high=SECONDS_MAX)
        limits = {key: table.get(key, str, None) for key in ("above", "below")}
        table.done()
        rules = []
        for key, text in limits.items():
            if text is None:
                continue
            try:
                limit_milli = rescale(parse_decimal(text), LIMIT_EXPONENT)
            except NumberError as error:
                mend = f'must be a number with three decimals at most, as "8.0", not {text!r}'
                raise table.error(key, mend) from error
            rules.append(
                AlarmRule(
                    channel=channel,
                    above=key == "above",
                    limit_milli=limit_milli,
                    for_s=for_s,
                    settle_s=settle_s,
                )
            )
        if not rules:
            raise table.error("above", "an alarm needs a limit: above, below, or both")
        if len(rules) > 1 and rules[0].limit_milli < rules[1].limit_milli:
            raise table.error("below", "lies over the limit in above: everything would be outside")
        return rules

    def _disk(self) -> DiskConfig:
        table = self._table("disk")
        disk = DiskConfig(
            endurance_gb=table.number("endurance_gb", 0, low=0, high=100_000_000),
            years_min=table.number("years_min", DiskConfig().years_min, low=1, high=50),
        )
        table.done()
        return disk

    def _device(self, table: Table, audiences: set[int]) -> DeviceConfig:
        audience = table.number("audience", 0, low=1, high=AUDIENCE_MAX)
        if audience not in audiences:
            raise table.error("audience", f"no [[audience]] has id = {audience}")
        driver = table.get("driver", str)
        if driver not in driver_names():
            raise table.error("driver", f"must be one of {', '.join(driver_names())}")
        interval_s = table.number("interval_s", 0, low=0, high=86_400 * 30)
        table.known.add("options")
        options = table.values.get("options", {})
        if not isinstance(options, dict):
            raise table.error("options", "must be a table: [device.options]")
        name = table.name_text("id")
        if "/" in name:
            raise table.error("id", f"{name!r} has a slash, which parts device from channel")
        spec = DeviceSpec(
            id=name,
            driver=driver,
            source=table.get("source", str),
            interval_ms=interval_s * 1000 or None,
            options=options,
        )
        table.done()
        try:
            check_spec(spec)
        except SpecError as error:
            raise table.error(error.field, error.reason) from error
        return DeviceConfig(spec=spec, audience=audience)
