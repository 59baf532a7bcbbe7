import re
from pathlib import Path
from typing import Any

import pytest

from consortium.enrolment import EnrolmentCode, encode_enrolment
from firmware_bridge.devices import DeviceSpec
from firmware_bridge.driver_registry import driver_names
from gateway.alarms import AlarmRule
from gateway.config import (
    AudienceConfig,
    BrokerConfig,
    DeviceConfig,
    DiskConfig,
    GatewayConfig,
    PeerConfig,
    SealConfig,
    SiteConfig,
    StatusConfig,
    parse_config,
    read_config,
)
from gateway.edge_config import EdgeConfig
from gateway.errors import ConfigError
from gateway.neighbour_config import NeighbourConfig, RelayConfig
from gateway.plausibility import Limits
from gateway.retention import RetentionPolicy
from gateway.zones import Zone
from tests.fakes.gateway_parts import MemorySigner

PAGE = Path(__file__).resolve().parents[3] / "docs" / "formats" / "gateway-config.md"
PATH = Path("/etc/wharf/gateway.toml")
ONE, TWO = "11" * 32, "22" * 32
SMALLEST = """\
[gateway]
name = "cold-room"
party = "Cold Store Ltd"
data_dir = "data"
[key]
uri = "pkcs11:token=wharf"
"""
KEY = MemorySigner("truck")
CODE = encode_enrolment(
    EnrolmentCode(
        feed_id=b"f" * 16,
        alg=KEY.alg,
        spki=KEY.public_key_der(),
        genesis_leaf=bytes(20),
        gateway_name="truck",
        party_name="Cold Store Ltd",
    )
)
WHOLE = f"""\
[gateway]
name = "cold-room"
party = "Cold Store Ltd"
data_dir = "/var/lib/wharf"
development = false

[key]
uri = "pkcs11:token=wharf"
counter = "tpm:0x01800010"
counter_every_s = 60

[seal]
count = 100
interval_s = 5
idle_s = 60

[status]
host = "0.0.0.0"
port = 0

[site]
accept = false
trial_s = 30

[retention]
keep_days = 30
used_percent_max = 60
mirrors = 1
opened = false

[broker]
host = "broker"
port = 8883
persistent = false
username = "gateway"
password_file = "broker.password"
ca_file = "/etc/ca.pem"
client_id = "box-7"

[[consortium]]
address = "chain.example:7411"
certificate = "chain.pem"
genesis_sha256 = "{"ab" * 32}"

[[audience]]
id = 1
name = "own goods"
readers = ["{ONE}", "{TWO}"]

[[device]]
id = "probe"
driver = "r200"
source = "serial:/dev/probe"
interval_s = 10
audience = 1
[device.options]
head = "aa"

[[device]]
id = "fridge"
driver = "tasmota"
source = "mqtt:tele/fridge/SENSOR"
interval_s = 60
audience = 1

[[alarm]]
device = "fridge"
channel = "temperature"
above = "8.0"
below = "-0.5"
for_s = 60
settle_s = 30

[disk]
endurance_gb = 5000
years_min = 4
[[zone]]
name = "dock-1"
places = ["probe/1", "probe/2"]
rssi_cdbm_min = -6500
reads_min = 5
dwell_ms_min = 0
gone_ms = 86400000
margin_cdbm = 400
tags_max = 50

[[zone]]
name = "cold-room"
places = ["fridge"]

[[plausible]]
device = "fridge"
channel = "SI7021/temperature"
step_milli = 500
rate_milli_per_min = 1000
stuck_s = 3600
stuck_reads = 10
apart_milli = 2000
neighbours = ["probe/temperature"]
speed_mm_s = 30000
jump_mm = 1000
clock_ms = 5000

[relay]
listen = "0.0.0.0:7412"
quota_mb = 12

[[neighbour]]
code = "{CODE}"
address = "10.0.0.7:7412"
certificate = "truck.pem"
"""


def parse(text: str) -> GatewayConfig:
    return parse_config(text, PATH)


def refused(text: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    return caught.value


def line_of(text: str, part: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if part in line)


def test_every_key_is_read_into_its_place() -> None:
    spec = DeviceSpec(
        id="probe",
        driver="r200",
        source="serial:/dev/probe",
        interval_ms=10_000,
        options={"head": "aa"},
    )
    config = parse(WHOLE)
    expected = GatewayConfig(
        path=PATH,
        name="cold-room",
        party="Cold Store Ltd",
        data_dir=Path("/var/lib/wharf"),
        development=False,
        key_uri="pkcs11:token=wharf",
        key_counter="tpm:0x01800010",
        key_counter_every_s=60,
        seal=SealConfig(count=100, interval_s=5, idle_s=60),
        status=StatusConfig(host="0.0.0.0", port=0),
        site=SiteConfig(accept=False, trial_s=30),
        retention=RetentionPolicy(keep_days=30, used_percent_max=60, mirrors=1, opened=False),
        broker=BrokerConfig(
            host="broker",
            port=8883,
            persistent=False,
            username="gateway",
            password_file=Path("/etc/wharf/broker.password"),
            ca_file=Path("/etc/ca.pem"),
            client_id="box-7",
        ),
        peers=(
            PeerConfig(
                address="chain.example:7411",
                certificate=Path("/etc/wharf/chain.pem"),
                genesis_sha256=b"\xab" * 32,
            ),
        ),
        audiences=(AudienceConfig(id=1, name="own goods", readers=(b"\x11" * 32, b"\x22" * 32)),),
        devices=(
            DeviceConfig(spec=spec, audience=1),
            DeviceConfig(
                spec=DeviceSpec(
                    id="fridge",
                    driver="tasmota",
                    source="mqtt:tele/fridge/SENSOR",
                    interval_ms=60_000,
                ),
                audience=1,
            ),
        ),
        alarms=tuple(
            AlarmRule(
                channel=("fridge", "temperature"),
                above=above,
                limit_milli=limit_milli,
                for_s=60,
                settle_s=30,
            )
            for above, limit_milli in ((True, 8_000), (False, -500))
        ),
        relay=RelayConfig(listen="0.0.0.0:7412", quota_mb=12),
        neighbours=(
            NeighbourConfig(
                feed_id=b"f" * 16,
                key=KEY.public,
                name="truck",
                address="10.0.0.7:7412",
                certificate=Path("/etc/wharf/truck.pem"),
            ),
        ),
        disk=DiskConfig(endurance_gb=5_000, years_min=4),
        edge=EdgeConfig(
            zones=(
                Zone(
                    name="dock-1",
                    places=(("probe", 1), ("probe", 2)),
                    rssi_cdbm_min=-6500,
                    reads_min=5,
                    dwell_ms_min=0,
                    gone_ms=86_400_000,
                    margin_cdbm=400,
                    tags_max=50,
                ),
                Zone(name="cold-room", places=(("fridge", None),)),
            ),
            limits={
                ("fridge", "SI7021/temperature"): Limits(
                    step_milli=500,
                    rate_milli_per_min=1000,
                    stuck_s=3600,
                    stuck_reads=10,
                    apart_milli=2000,
                    neighbours=(("probe", "temperature"),),
                    speed_mm_s=30_000,
                    jump_mm=1000,
                    clock_ms=5000,
                )
            },
        ),
    )
    assert expected == config


ALARM = '[[alarm]]\ndevice = "fridge"\nchannel = "temperature"\n'


@pytest.mark.parametrize(
    ("lines", "field", "mend"),
    [
        ("", "above", "needs a limit"),
        ("above = 8.0", "above", "must be a text"),
        ('above = "warm"', "above", "three decimals"),
        ('above = "8.0001"', "above", "three decimals"),
        ('above = "2"\nbelow = "8"', "below", "everything would be outside"),
        ('above = "8"\n[[alarm]]\ndevice = "fridge"\nchannel = "temperature"\nabove = "9"',
         "channel", "such a limit already"),
    ],
)  # fmt: skip
def test_an_alarm_that_cannot_be_meant_is_refused(lines: str, field: str, mend: str) -> None:
    without = WHOLE[: WHOLE.index("[[alarm]]")]
    error = refused(without + ALARM + lines + "\n")
    assert (field, True) == (error.field, mend in error.mend)


def test_an_alarm_of_no_device_is_refused() -> None:
    without = WHOLE[: WHOLE.index("[[alarm]]")]
    error = refused(without + ALARM.replace("fridge", "cellar") + 'above = "8"\n')
    assert ("device", "no [[device]] has id = 'cellar'") == (error.field, error.mend)


def test_what_is_not_given_has_its_default() -> None:
    config = parse(SMALLEST)
    assert (False, Path("/etc/wharf/data")) == (config.development, config.data_dir)
    assert (SealConfig(), StatusConfig(), BrokerConfig()) == (
        config.seal,
        config.status,
        config.broker,
    )
    assert ((), (), ()) == (config.peers, config.audiences, config.devices)


@pytest.mark.parametrize(
    "table", ["gateway", "key", "seal", "status", "broker", "consortium", "audience", "device"]
)
def test_an_unknown_key_is_refused_with_its_line_and_the_known_ones(table: str) -> None:
    header = f"[[{table}]]" if f"[[{table}]]" in WHOLE else f"[{table}]"
    text = WHOLE.replace(f"{header}\n", f"{header}\nhumbug = 1\n", 1)
    error = refused(text)
    assert ("humbug", line_of(text, "humbug")) == (error.field, error.line)
    assert f"unknown key in [{table}]; known are " in str(error)
    assert str(error).startswith(f"{PATH}:{error.line}: humbug: ")


def test_an_unknown_table_is_refused() -> None:
    error = refused(SMALLEST + "[humbug]\n")
    assert "humbug" == error.field
    assert "known are alarm, audience, broker, " in error.mend


@pytest.mark.parametrize(
    ("key", "table"),
    [
        ("name", "gateway"), ("party", "gateway"), ("data_dir", "gateway"), ("uri", "key"),
        ("address", "consortium"), ("certificate", "consortium"),
        ("genesis_sha256", "consortium"), ("readers", "audience"),
        ("id", "device"), ("driver", "device"), ("source", "device"),
    ],
)  # fmt: skip  # one table a line
def test_a_missing_key_is_named_with_its_mend(key: str, table: str) -> None:
    at = WHOLE.index(f"[{table}]")
    text = WHOLE[:at] + re.sub(rf"\n{key} = .*", "", WHOLE[at:], count=1)
    error = refused(text)
    assert (key, f"missing in [{table}]; add {key} = ...") == (error.field, error.mend)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "cold-room"', "name = 7", "must be a text, not 7"),
        ("development = false", "development = 0", "must be true or false, not 0"),
        ('name = "cold-room"', 'name = ""', "must be 1 to 100 printable characters"),
        ('party = "Cold', 'party = "\\u0007Cold', "must be 1 to 100 printable characters"),
        ('id = "probe"', f'id = "{"p" * 101}"', "must be 1 to 100 printable characters"),
        ('id = "probe"', 'id = "probe/1"', "has a slash"),
        ('source = "serial:/dev/probe"', 'source = "usb:/sys/probe"', "usb"),
        ("count = 100", 'count = "100"', "must be a whole number, not '100'"),
        ("count = 100", "count = 100.0", "must be a whole number, not 100.0"),
        ("count = 100", "count = true", "must be a whole number, not True"),
        ("persistent = false", 'persistent = "no"', "must be true or false, not 'no'"),
        (f'readers = ["{ONE}", "{TWO}"]', f'readers = "{ONE}"', "must be a list"),
        (f'"{ONE}", ', '"11", ', "must be 32 bytes in hexadecimal"),
        (f'"{ONE}", ', f'"{"z" * 64}", ', "must be 32 bytes in hexadecimal"),
        (f'"{ONE}", ', "5, ", "must be 32 bytes in hexadecimal"),
        ('driver = "r200"', 'driver = "lidar"', f"must be one of {', '.join(driver_names())}"),
        ("audience = 1\n[device", "audience = 9\n[device", "no [[audience]] has id = 9"),
        ('[device.options]\nhead = "aa"', "options = 3", "must be a table: [device.options]"),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused_with_its_line(
    old: str, new: str, said: str
) -> None:
    assert old in WHOLE
    text = WHOLE.replace(old, new)
    error = refused(text)
    assert said in error.mend
    changed = new.splitlines()[0].partition("=")[0] + "="
    lines = [n for n, line in enumerate(text.splitlines(), 1) if line.startswith(changed)]
    assert error.line in lines or "readers" == error.field


@pytest.mark.parametrize(
    ("text", "said"),
    [('head = "cc"', "none of bb, aa"), ("heat = 3", "unknown to this driver; known are: head")],
)
def test_an_option_that_the_driver_does_not_know_is_refused(text: str, said: str) -> None:
    error = refused(WHOLE.replace('head = "aa"', text))
    assert said in error.mend
    assert error.field.startswith("options.")


@pytest.mark.parametrize("row", [0, 1])
def test_of_repeated_tables_the_line_of_the_wrong_one_is_named(row: int) -> None:
    parts = WHOLE.split("interval_s = ")
    at = 2 + row  # the first one stands in [seal]
    text = "interval_s = ".join(
        [*parts[:at], "-1\n" + parts[at].partition("\n")[2], *parts[at + 1 :]]
    )
    error = refused(text)
    assert ("interval_s", line_of(text, "interval_s = -1")) == (error.field, error.line)


def test_a_table_of_the_wrong_shape_is_refused() -> None:
    assert "must be a table: [seal]" in str(refused("seal = 3\n" + SMALLEST))
    assert "must be written as [[device]]" in str(refused(SMALLEST + "[device]\nid = 'a'\n"))


def test_two_devices_of_one_name_are_refused() -> None:
    text = WHOLE.replace('id = "fridge"', 'id = "probe"')
    error = refused(text)
    second = text.rindex('id = "probe"')
    assert ("id", "'probe' is given twice") == (error.field, error.mend)
    assert error.line == 1 + text[:second].count("\n")


def test_two_audiences_of_one_number_are_refused() -> None:
    again = f'[[audience]]\nid = 1\nname = "others"\nreaders = ["{ONE}", "{TWO}"]\n'
    error = refused(WHOLE + again)
    assert ("id", "1 is another audience's already") == (error.field, error.mend)
    assert error.line == line_of(WHOLE + again, 'name = "others"') - 1


@pytest.mark.parametrize("readers", ["", f'"{ONE}"', f'"{ONE}", "{ONE}"'])
def test_fewer_than_two_different_readers_are_refused_outside_development(readers: str) -> None:
    text = WHOLE.replace(f'"{ONE}", "{TWO}"', readers)
    assert "needs two readers at least" in refused(text).mend
    config = parse(text.replace("development = false", "development = true"))
    assert readers.count(ONE) == len(config.audiences[0].readers)


def test_text_that_is_no_toml_says_where() -> None:
    error = refused("[gateway\n")
    assert ("TOML", "line 1") == (error.field, re.search("line 1", error.mend)[0])  # type: ignore[index]  # it must be found


def test_a_file_that_is_not_there_names_the_command_that_writes_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="wharf gateway init"):
        read_config(tmp_path / "gateway.toml")


def test_a_file_that_is_no_text_says_so(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_bytes(b"[gateway]\nname = '\xff'\n")
    with pytest.raises(ConfigError, match=r"UTF-8 \(byte 18\)"):
        read_config(path)


def test_a_file_is_read_as_its_text(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(SMALLEST, encoding="utf-8")
    config = read_config(path)
    assert (path, tmp_path / "data") == (config.path, config.data_dir)


# The page ----------------------------------------------------------------------------------


@pytest.mark.parametrize("uri", ["tpm:", "tpm:0x1", "0x01800010", "tpm:0x02000000", "tpm:x"])
def test_a_counter_that_is_none_is_refused_with_its_line(uri: str) -> None:
    error = refused(WHOLE.replace("tpm:0x01800010", uri))
    assert ("counter", 9) == (error.field, error.line)


def page() -> dict[str, dict[str, tuple[str, str, str]]]:
    """Type, default and meaning of every key on the page, by table."""
    tables: dict[str, dict[str, tuple[str, str, str]]] = {}
    rows: dict[str, tuple[str, str, str]] = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        header = re.fullmatch(r"## \[\[?(\w+)\]\]?", line)
        if header:
            rows = tables.setdefault(header[1], {})
        row = re.fullmatch(r"\| `(\w+)` \| (.+?) \| (.+?) \| (.+) \|", line)
        if row:
            rows[row[1]] = (row[2], row[3], row[4])
    return tables


def known_keys(table: str) -> set[str]:
    """What the program itself says that a table may hold."""
    header = f"[[{table}]]" if f"[[{table}]]" in WHOLE else f"[{table}]"
    error = refused(WHOLE.replace(f"{header}\n", f"{header}\nhumbug = 1\n", 1))
    return set(error.mend.partition("known are ")[2].split(", "))


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        (CODE, CODE[:-3] + "AAA", "code"),
        ('certificate = "truck.pem"\n', "", "certificate"),
        ('address = "10.0.0.7:7412"\n', "", "certificate"),
        ("quota_mb = 12", "quota_mb = 0", "quota_mb"),
    ],
)
def test_a_neighbour_is_written_down_whole(old: str, new: str, key: str) -> None:
    assert key == refused(WHOLE.replace(old, new)).field


def test_the_page_holds_every_table_and_key_and_no_other() -> None:
    tables = set(refused(SMALLEST + "[humbug]\n").mend.partition("known are ")[2].split(", "))
    assert {table: known_keys(table) for table in tables} == {
        table: set(rows) for table, rows in page().items()
    }


def test_the_defaults_on_the_page_are_the_programs() -> None:
    config = parse(SMALLEST)
    held: dict[str, Any] = {
        "gateway": config,
        "seal": config.seal,
        "status": config.status,
        "retention": config.retention,
        "site": config.site,
        "disk": config.disk,
        "broker": config.broker,
    }

    def words(value: object) -> str:
        if value is None:
            return "none"
        return f'`"{value}"`' if isinstance(value, str) else f"`{value}`".lower()

    for table, part in held.items():
        for key, (_, default, _) in page()[table].items():
            if default != "required":
                assert (key, words(getattr(part, key))) == (key, default)


RANGES = [
    (table, key, int(low), int(high))
    for table, rows in page().items()
    for key, (kind, _, meaning) in rows.items()
    for low, high in re.findall(r"(-?\d+) to (-?\d+)", meaning)
    if kind == "whole number"
]


@pytest.mark.parametrize(("table", "key", "low", "high"), RANGES)
def test_the_ranges_on_the_page_are_the_programs(table: str, key: str, low: int, high: int) -> None:
    def with_value(value: int) -> str:
        at = WHOLE.index(f"[{table}]")
        text = WHOLE[:at] + re.sub(rf"\n{key} = .*", f"\n{key} = {value}", WHOLE[at:], count=1)
        assert f"\n{key} = {value}\n" in text
        return text

    for value in (low, high):
        if key not in {"id", "audience"}:  # devices and audiences name each other
            parse(with_value(value))
    for value in (low - 1, high + 1):
        assert (key, f"must be from {low} to {high}, not {value}") == (
            refused(with_value(value)).field,
            refused(with_value(value)).mend,
        )


def test_every_whole_number_on_the_page_has_its_range() -> None:
    numbers = {
        (table, key)
        for table, rows in page().items()
        for key, (kind, _, _) in rows.items()
        if kind == "whole number"
    }
    assert numbers == {(table, key) for table, key, _, _ in RANGES}
