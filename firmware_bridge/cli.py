"""`wharf devices`: what could be read from this machine, and what it says."""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from firmware_bridge.devices import Arrival, DeviceSpec, Observation
    from firmware_bridge.transports.mqtt import BrokerAddress

_EXAMPLES = """examples:
  wharf devices                        what is plugged in, what it speaks, how to configure it
  wharf devices --port /dev/ttyUSB0    the same for one port
  wharf devices --json                 the same for programs
  wharf devices --captures ./recorded  a captures.toml for a folder of recorded logs
  wharf devices watch --driver nmea --source serial:/dev/serial/by-id/usb-u-blox
  wharf devices replace cold-probe --help
"""
_WATCH_EXAMPLES = """examples:
  wharf devices watch --driver r200 --source 'serial:/dev/serial/by-id/usb-1a86?baud=115200'
  wharf devices watch --driver modbus --source serial:/dev/serial/by-id/usb-FTDI \\
        --option profile=xy-md02 --option unit=3
  wharf devices watch --driver tasmota --source mqtt:tele/cargo/SENSOR --seconds 60 --json
"""
_W1_FOLDER = Path("/sys/bus/w1/devices")
Actions: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001  # argparse has no public name for it


def register(commands: Actions) -> Actions:
    """Adds the `devices` command; its actions, to which other rooms may add theirs."""
    form = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser(
        "devices",
        help="list what is plugged in, watch it, replace a probe",
        epilog=_EXAMPLES,
        formatter_class=form,
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--captures", type=Path, metavar="DIR", help="propose a captures.toml")
    parser.add_argument("--port", action="append", metavar="PATH", help="look at this port only")
    parser.set_defaults(run=devices)
    actions = parser.add_subparsers(metavar="ACTION")
    watch = actions.add_parser(
        "watch", help="show decoded readings live", epilog=_WATCH_EXAMPLES, formatter_class=form
    )
    watch.add_argument("--driver", required=True)
    watch.add_argument("--source", required=True, help="as in the configuration")
    watch.add_argument("--option", action="append", default=[], metavar="NAME=VALUE")
    watch.add_argument("--broker", default="127.0.0.1:1883", metavar="HOST:PORT", help="of mqtt:")
    watch.add_argument("--seconds", type=float, help="stop after so long")
    watch.add_argument("--json", action="store_true", help="a JSON object a line")
    watch.set_defaults(run=_watch)
    return actions


def devices(args: argparse.Namespace) -> int:
    """Prints what was found. 0, or 64 for a folder that is none."""
    if args.captures is not None:
        return _captures(args.captures)
    from firmware_bridge.driver_registry import driver_names, find_driver
    from firmware_bridge.transports.serial_port import find_ports

    named = [(path, "") for path in args.port or ()]
    ports = [_port(path, text) for path, text in named or find_ports()]
    probes = [] if named else sorted(str(path) for path in _W1_FOLDER.glob("28-*/w1_slave"))
    drivers = {name: find_driver(name) for name in driver_names()}
    if args.json:
        rows = {name: {"title": d.title, "sources": d.schemes} for name, d in drivers.items()}
        print(json.dumps({"serial": ports, "w1": probes, "drivers": rows}, indent=2))
        return 0
    for port in ports:
        print(f"serial:{port['path']}   {port['description']}   {port['says']}")
    for probe in probes:
        print(f"w1:{probe}")
    if not ports and not probes:
        print("no serial port and no 1-Wire probe found")
    for name, driver in drivers.items():
        print(f"driver {name}: {driver.title} ({', '.join(driver.schemes)})")
    _print_proposal(ports, probes)
    return 0


def _port(path: str, description: str) -> dict[str, Any]:
    """The port, what speaks there, and the table that a configuration would hold."""
    from firmware_bridge.errors import TransportError
    from firmware_bridge.finding import find_on

    row: dict[str, Any] = {"path": path, "description": description, "config": None}
    try:
        found = asyncio.run(find_on(path))
    except TransportError as error:
        return row | {"says": f"cannot be looked at: {error}"}
    if found is None:
        return row | {"says": "nothing known speaks here; a bus or a reader may have to be named"}
    name = Path(path).name.replace("/", "-")
    says = f"{found.driver} at {found.baud} baud, check bytes right"
    return row | {"says": says, "driver": found.driver, "config": found.toml(name, path)}


def _print_proposal(ports: Sequence[dict[str, Any]], probes: Sequence[str]) -> None:
    tables = [port["config"] for port in ports if port["config"]]
    tables += [
        f'[[device]]\nid = "{Path(probe).parent.name}"\ndriver = "ds18b20"\n'
        f'source = "w1:{probe}"\ninterval_s = 10\naudience = 1\n'
        for probe in probes
    ]
    if tables:
        print("\nfor gateway.toml; give each an id that people know:\n")
        print("\n".join(tables), end="")


def _captures(folder: Path) -> int:
    from firmware_bridge.captures import propose, to_toml

    if not folder.is_dir():
        print(f"{folder}: no such folder", file=sys.stderr)
        return 64
    print(to_toml(propose(folder)), end="")
    return 0


def _watch(args: argparse.Namespace) -> int:
    """0 when it was stopped, 64 for what cannot be meant, 74 when the device was lost."""
    from firmware_bridge.devices import DeviceSpec
    from firmware_bridge.errors import SpecError, TransportError
    from firmware_bridge.transports.mqtt import BrokerAddress

    host, _, port = args.broker.rpartition(":")
    try:
        options = dict(_option(text) for text in args.option)
        spec = DeviceSpec(id="watched", driver=args.driver, source=args.source, options=options)
        broker = BrokerAddress(
            host=host,
            port=int(port),
            client_id=f"wharf-watch-{time.time_ns()}",
            keeps_session=False,
        )
        asyncio.run(_shown(spec, broker, args.seconds, as_json=args.json))
    except (SpecError, ValueError) as error:
        print(error, file=sys.stderr)
        return 64
    except TransportError as error:
        print(f"{error}; where the gateway reads it, ask `wharf gateway status`", file=sys.stderr)
        return 74
    except KeyboardInterrupt:
        return 0
    return 0


def _option(text: str) -> tuple[str, str | int | bool]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"--option {text}: write NAME=VALUE")
    if value in ("true", "false"):
        return name, value == "true"
    return name, int(value) if value.lstrip("-").isdecimal() else value


async def _shown(
    spec: "DeviceSpec", broker: "BrokerAddress", seconds: float | None, *, as_json: bool
) -> None:
    """Prints what arrives until the device is lost or the time is over."""
    from firmware_bridge.bridge import MqttBridge, check_spec, run_device

    def mono_us() -> int:
        return time.monotonic_ns() // 1000

    async def show(arrival: "Arrival") -> None:
        for item in arrival.observations:
            print(_json(item) if as_json else _words(item), flush=True)
        for rejected in arrival.rejected:
            row = {"rejected": str(rejected.reason), "bytes": rejected.raw.hex()}
            print(json.dumps(row) if as_json else f"not a reading: {rejected.reason}", flush=True)
        if arrival.acknowledge is not None:
            arrival.acknowledge()

    is_mqtt = check_spec(spec).scheme == "mqtt"
    try:
        async with asyncio.timeout(seconds):
            if is_mqtt:
                await MqttBridge([spec], broker=broker, mono_us=mono_us).run(show)
            else:
                await run_device(spec, show, mono_us=mono_us)
    except TimeoutError:
        return


def _json(item: "Observation") -> str:
    record = item.record
    named = {name: getattr(record, name) for name in type(record).__slots__}
    shown = {name: v.hex() if isinstance(v, bytes) else v for name, v in named.items()}
    return json.dumps({"channel": item.channel, "quantity": item.quantity, **shown})


def _words(item: "Observation") -> str:
    from logistics.reading import Position, TagSighting, Telemetry
    from logistics.units import with_symbol

    record = item.record
    if isinstance(record, Telemetry):
        words = with_symbol(record.value, record.exponent, record.unit)
    elif isinstance(record, Position):
        words = f"{record.lat_e7 / 1e7:.7f}, {record.lon_e7 / 1e7:.7f}"
    elif isinstance(record, TagSighting):
        words = record.epc.hex()
    else:
        words = f"a frame of {record.size_bytes} bytes, SHA-256 {record.sha256.hex()}"
    mark = f"   flags {record.flags}" if record.flags else ""
    return f"{item.channel}: {words}{mark}"
