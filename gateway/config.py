"""The gateway's configuration: TOML read once into frozen records; unknown keys are refused with
their line.
"""

import re
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
from gateway.errors import ConfigError
from gateway.retention import RetentionPolicy

READERS_MIN: Final = 2
READER_KEY_BYTES: Final = 32
AUDIENCE_MAX: Final = 65_535
NAME_CHARACTERS_MAX: Final = 100  # as much as the chain records of a name
# What a configuration from elsewhere may not say: it could cut the box off from its own feed.
OWN_TABLES: Final = frozenset({"gateway", "key", "status", "consortium", "site"})


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
    site: SiteConfig = SiteConfig()
    origin: Origin = Origin()


_REQUIRED: Final = object()


@dataclass(frozen=True, slots=True)
class _Table:
    """One TOML table; knows what was asked for, so that what was not asked for can be refused."""

    path: object
    text: str
    name: str
    values: Mapping[str, Any]
    number_of: int = 0  # which one of a list of tables, from 0
    known: set[str] = field(default_factory=set)

    def error(self, key: str, mend: str) -> ConfigError:
        line = _line_of(self.text, self.name, key, number_of=self.number_of)
        return ConfigError(self.path, line, key, mend)

    def name_text(self, key: str) -> str:
        """A text that others will read: not empty, not endless, one line."""
        text: str = self.get(key, str)
        if not 0 < len(text) <= NAME_CHARACTERS_MAX or not text.isprintable():
            raise self.error(key, f"must be 1 to {NAME_CHARACTERS_MAX} printable characters")
        return text

    def get(self, key: str, kind: type, default: Any = _REQUIRED) -> Any:
        self.known.add(key)
        if key not in self.values:
            if default is _REQUIRED:
                raise self.error(key, f"missing in [{self.name}]; add {key} = ...")
            return default
        value = self.values[key]
        if type(value) is not kind:
            raise self.error(key, f"must be {_KIND_WORDS[kind]}, not {value!r}")
        return value

    def number(self, key: str, default: int, *, low: int, high: int) -> int:
        value: int = self.get(key, int, default)
        if not low <= value <= high:
            raise self.error(key, f"must be from {low} to {high}, not {value}")
        return value

    def hex(self, key: str, size_bytes: int) -> bytes:
        return _hex(self, key, self.get(key, str), size_bytes)

    def done(self) -> None:
        for key in self.values:
            if key not in self.known:
                options = ", ".join(sorted(self.known))
                raise self.error(key, f"unknown key in [{self.name}]; known are {options}")


_TABLES: Final = (
    "audience",
    "broker",
    "consortium",
    "device",
    "gateway",
    "key",
    "retention",
    "seal",
    "site",
    "status",
)
_KIND_WORDS: Final = {str: "a text", int: "a whole number", bool: "true or false", list: "a list"}


def _hex(table: _Table, key: str, value: object, size_bytes: int) -> bytes:
    try:
        data = bytes.fromhex(value) if isinstance(value, str) else b""
    except ValueError:
        data = b""
    if len(data) != size_bytes:
        raise table.error(key, f"must be {size_bytes} bytes in hexadecimal")
    return data


def _line_of(text: str, table: str, key: str, *, number_of: int) -> int | None:
    """Line of a key inside the table of that number, or of the table; for messages only."""
    inside, table_line, seen = table == "", None, -1
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[\[?\s*([\w.-]+)\s*\]\]?", line)
        if header:
            seen += header[1] == table
            inside = header[1] == table and seen == number_of
            table_line = number if inside else table_line
        elif inside and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", line):
            return number
    return table_line


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
        line = _line_of(text, name, "", number_of=0)
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
                table = _Table(self._named, self._text, "", self._values)
                raise table.error(name, f"unknown table; known are {', '.join(_TABLES)}")
        main = self._table("gateway")
        key = self._table("key")
        development = main.get("development", bool, default=False)
        audiences = self._audiences(development)
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
            devices=self._devices({audience.id for audience in audiences}),
            site=self._site(),
            origin=self._origin,
        )
        main.done()
        key.done()
        return config

    def _table(self, name: str) -> _Table:
        values = self._values.get(name, {})
        if not isinstance(values, dict):
            raise ConfigError(self._named, None, name, f"must be a table: [{name}]")
        return _Table(self._named, self._text, name, values)

    def _rows(self, name: str) -> list[_Table]:
        rows = self._values.get(name, [])
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ConfigError(self._named, None, name, f"must be written as [[{name}]]")
        return [_Table(self._named, self._text, name, row, n) for n, row in enumerate(rows)]

    def _counter(self, table: _Table) -> str | None:
        uri: str | None = table.get("counter", str, None)
        try:
            if uri is not None:
                TpmCounter(uri)
        except SpecError as error:
            raise table.error("counter", error.reason) from error
        return uri

    def _optional_file(self, table: _Table, key: str) -> Path | None:
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

    def _peer(self, table: _Table) -> PeerConfig:
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

    def _audience(self, table: _Table, development: bool) -> AudienceConfig:  # noqa: FBT001  # private, one caller
        keys = table.get("readers", list)
        readers = tuple(_hex(table, "readers", key, READER_KEY_BYTES) for key in keys)
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

    def _device(self, table: _Table, audiences: set[int]) -> DeviceConfig:
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
