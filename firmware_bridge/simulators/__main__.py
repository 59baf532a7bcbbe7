"""`python -m firmware_bridge.simulators SPEC.json`: the devices of one file, until SIGTERM or
Ctrl-C.

SPEC.json:
```
{"seed": 7,                      same seed, same values (default 1)
 "speed": 60,                    trip seconds per real second (default 1): moves the route and the
 curves "clock": "real",                what devices say the time is: "real" (this machine's) or
 "trip" "start_unix_ms": 1795460400000, with "trip": the time at which the trip begins
 "log_dir": "/tmp/demo/sent",    one JSON-lines file per device: what it sent (sent_log.py)
 "ready_file": "/tmp/demo/up",   written when all ports and files exist, removed at the end
 (optional) "broker": {"host": "127.0.0.1", "port": 1883, "username": "u", "password_file": "/p"},
 "devices": [
  {"id": "truck-gnss", "kind": "nmea", "link": "/tmp/demo/gnss", "interval_ms": 1000,
   "route": [[53.5461, 9.9661], [53.07, 8.80]], "kmh": 70, "no_fix_s": [[600, 660]]},
  {"id": "dock-reader", "kind": "r200", "link": "/tmp/demo/uhf", "interval_ms": 500, "head": "bb",
   "tags": [{"epc": "3074257bf7194e4000001a85", "from_s": 0, "to_s": 1200}]},
  {"id": "dock-door", "kind": "llrp", "port": 5084, "interval_ms": 200, "clock_ahead_ms": 0,
   "tags": [{"epc": "3174257bf4499602d2000000", "antenna": 1, "rssi_dbm": -50, "from_s": 5}],
   "cut_s": [[60, 60]], "garbage_s": [[70, 70]], "mute_s": [[80, 100]], "busy_s": [[110, 120]]},
  {"id": "cold-probe", "kind": "ds18b20", "file": "/tmp/demo/w1/28-1/w1_slave", "interval_ms": 1000,
   "curve": [[0, 4.0], [3600, 4.5], [5400, 9.0]], "noise": 0.2},
  {"id": "fridge-1", "kind": "zigbee2mqtt", "topic": "zigbee2mqtt/fridge-1", "interval_ms": 1000,
   "curve": [[0, 3.5]], "humidity": [[0, 62.0]], "noise": 0.2},
  {"id": "sauna", "kind": "tasmota", "topic": "tele/sauna/SENSOR", "interval_ms": 2000,
   "sensor": "DS18B20-1", "curve": [[0, 21.0]], "noise": 0.1},
  {"id": "bus", "kind": "modbus", "link": "/tmp/demo/bus", "interval_ms": 20,
   "units": [{"id": "chamber-1", "unit": 1, "curve": [[0, 4.0]]}]},
  {"id": "truck-1", "kind": "teltonika", "port": 5027, "imei": "356307042441013", "kmh": 60},
  {"id": "roof", "kind": "gpsd", "port": 2947, "kmh": 0}],
 "pulls": {"up_s": [6, 16], "down_s": [0.5, 4]}}  optional: every cable is pulled now and then
```
interval_ms is real time. A curve is [trip second, value] points with straight lines between. `link`
becomes a symbolic link to the pseudo-terminal, which stays when nobody listens. A tag is in view
from from_s to to_s. An llrp reader with `certificate` and `key` speaks TLS.
"""

import asyncio
import json
import logging
import signal
import sys
from pathlib import Path

from firmware_bridge.errors import FirmwareBridgeError
from firmware_bridge.simulators.fleet import run_fleet
from firmware_bridge.simulators.spec import parse_fleet


async def _run(path: Path) -> None:
    fleet = parse_fleet(json.loads(path.read_text(encoding="utf-8")))  # noqa: ASYNC240  # before all
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await run_fleet(fleet, stop)


def main() -> int:
    """0 after a signal, 64 for a wrong specification."""
    logging.basicConfig(level=logging.WARNING)
    if len(sys.argv) != 2:
        print("usage: python -m firmware_bridge.simulators SPEC.json", file=sys.stderr)
        return 64
    try:
        asyncio.run(_run(Path(sys.argv[1])))
    except (FirmwareBridgeError, OSError, ValueError) as error:
        print(f"{sys.argv[1]}: {error}", file=sys.stderr)
        return 64
    return 0


if __name__ == "__main__":
    sys.exit(main())
