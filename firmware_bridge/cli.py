"""`wharf devices`: what could be read from this machine."""

import argparse
import json
from pathlib import Path

_EXAMPLES = """examples:
  wharf devices                        serial ports, 1-Wire probes and the drivers there are
  wharf devices --json                 the same for programs
  wharf devices --captures ./recorded  a captures.toml for a folder of recorded logs
"""
_W1_FOLDER = Path("/sys/bus/w1/devices")


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the `devices` command."""
    parser = commands.add_parser(
        "devices",
        help="list serial ports, probes and drivers",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--captures", type=Path, metavar="DIR", help="propose a captures.toml")
    parser.set_defaults(run=devices)


def devices(args: argparse.Namespace) -> int:
    """Prints what was found. 0, or 64 for a folder that is none."""
    if args.captures is not None:
        return _captures(args.captures)
    from firmware_bridge.driver_registry import driver_names, find_driver
    from firmware_bridge.transports.serial_port import find_ports

    ports = [{"path": path, "description": text} for path, text in find_ports()]
    probes = sorted(str(path) for path in _W1_FOLDER.glob("28-*/w1_slave"))
    drivers = {name: find_driver(name) for name in driver_names()}
    if args.json:
        rows = {name: {"title": d.title, "sources": d.schemes} for name, d in drivers.items()}
        print(json.dumps({"serial": ports, "w1": probes, "drivers": rows}, indent=2))
        return 0
    for port in ports:
        print(f"serial:{port['path']}   {port['description']}")
    for probe in probes:
        print(f"w1:{probe}")
    if not ports and not probes:
        print("no serial port and no 1-Wire probe found")
    for name, driver in drivers.items():
        print(f"driver {name}: {driver.title} ({', '.join(driver.schemes)})")
    return 0


def _captures(folder: Path) -> int:
    import sys

    from firmware_bridge.captures import propose, to_toml

    if not folder.is_dir():
        print(f"{folder}: no such folder", file=sys.stderr)
        return 64
    print(to_toml(propose(folder)), end="")
    return 0
