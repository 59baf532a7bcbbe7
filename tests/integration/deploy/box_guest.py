"""What is done on the emulated machine at each start: run by its systemd, standard library only.

Tells what it finds as `TOLD word json` lines on the console; the test outside judges.
"""

import json
import subprocess
import time
import tomllib
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

DATA = Path("/var/lib/wharf")
CONFIG = Path("/etc/wharf/gateway.toml")
UNIT = "wharf-gateway"
PUBLISHER = Path("/etc/box-publisher")  # the publisher's configuration: a password is no argument
DROP_IN = Path("/etc/systemd/system/wharf-gateway.service.d/test.conf")
# The shipped minute of patience, shortened: what is shown is who ends a hung gateway.
SHORT = "[Service]\nWatchdogSec=20\nTimeoutAbortSec=5\n"
WAIT_S = 240
READERS = ("aa" * 31 + "01", "bb" * 31 + "02")
DEVICE = """
[[device]]
id = "probe"
driver = "zigbee2mqtt"
source = "mqtt:zigbee2mqtt/probe"
interval_s = 10
audience = 1
"""


class NotSoError(Exception):
    """Something did not become as it should."""


def tell(word: str, value: object) -> None:
    print(f"TOLD {word} {json.dumps(value)}", flush=True)


def run(*words: str, check: bool = True) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise NotSoError(f"{words}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout.strip()


def until(what: str, is_so: Callable[[], Any]) -> Any:
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        try:
            if found := is_so():
                return found
        except (OSError, ValueError):
            pass  # the gateway is between two lives
        time.sleep(0.5)
    raise NotSoError(f"waited {WAIT_S} s: {what}\n{run('journalctl', '-u', UNIT, '-n', '30')}")


def shown(name: str) -> str:
    return run("systemctl", "show", UNIT, "-p", name, "--value")


def report() -> dict[str, Any]:
    port = int((DATA / "status.port").read_text())
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/status.json", timeout=20) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def version() -> str:
    code = "from importlib.metadata import version; print(version('wharfinger'))"
    return run("/opt/wharf/current/bin/python3", "-I", "-c", code)


def install(number: str) -> None:
    run("dpkg", "--install", f"/payload/wharfinger_{number}_arm64.deb")


def configure() -> None:
    readers = [word for reader in READERS for word in ("--reader", reader)]
    run(
        "runuser", "-u", "wharf", "--", "wharf", "gateway", "init", "--config", str(CONFIG),
        "--data-dir", str(DATA), "--name", "box", "--party", "test", "--development", *readers,
    )  # fmt: skip
    text = CONFIG.read_text()
    account = 'username = "gateway"\npassword_file = "/etc/wharf/broker-password"\n'
    assert "[broker]" in text
    CONFIG.write_text(text.replace("[broker]\n", f"[broker]\n{account}", 1) + DEVICE)
    assert tomllib.loads(CONFIG.read_text())["broker"]["username"] == "gateway"
    password = Path("/etc/wharf/broker-password").read_text()
    PUBLISHER.mkdir()
    (PUBLISHER / "mosquitto_pub").write_text(f"-u gateway\n-P {password}")


def publish(count: int) -> None:
    lines = "".join(f'{{"temperature": {4 + n / 10:.1f}}}\n' for n in range(count))
    subprocess.run(
        ["mosquitto_pub", "-h", "127.0.0.1", "-q", "1", "-t", "zigbee2mqtt/probe", "-l"],
        env={"PATH": "/usr/bin", "XDG_CONFIG_HOME": str(PUBLISHER)},
        input=lines,
        text=True,
        check=True,
    )


def take_and_seal(count: int) -> None:
    """So many readings from the broker into a signed block."""
    until("the gateway hears the broker", lambda: report()["mqtt"]["connected"])
    before = report()
    publish(count)
    until(
        "all are acknowledged", lambda: report()["acknowledged"] >= before["acknowledged"] + count
    )
    run("systemctl", "kill", "--kill-whom=main", "--signal=SIGUSR1", UNIT)
    until("a block is signed", lambda: _signed_above(before["sealed_height"]))


def _signed_above(height: int) -> bool:
    now = report()
    return now["signed_height"] == now["sealed_height"] > height and not now["pending"]


def ledger() -> dict[str, Any]:
    """What the ledger holds, re-derived from its raw data while nobody writes."""
    run("systemctl", "stop", UNIT)
    words = ("/opt/wharf/current/bin/python3", "-I", "-m", "ledger", "fsck", str(DATA), "--json")
    found: dict[str, Any] = json.loads(run("runuser", "-u", "wharf", "--", *words))
    run("systemctl", "start", UNIT)
    return found


def hang() -> None:
    """The gateway stands still; somebody else has to notice."""
    before = shown("MainPID")
    run("systemctl", "kill", "--kill-whom=main", "--signal=SIGSTOP", UNIT)
    until("another gateway runs", lambda: shown("MainPID") not in (before, "0"))
    until("it answers", report)
    told = run("journalctl", "-u", UNIT, "--no-pager", "-o", "cat")
    tell("watchdog", {"restarts": int(shown("NRestarts")), "noticed": "Watchdog timeout" in told})


def first_life() -> None:
    install("0.1.0")
    tell("idle", shown("ActiveState"))
    DROP_IN.parent.mkdir(parents=True)
    DROP_IN.write_text(SHORT)
    run("systemctl", "daemon-reload")
    configure()
    run("systemctl", "start", UNIT)
    tell("unit", {name: shown(name) for name in ("ActiveState", "User", "NoNewPrivileges")})
    take_and_seal(30)
    tell("taken", {"version": version(), "ledger": ledger()})
    hang()
    take_and_seal(5)
    install("0.2.0")
    until("the new version answers", report)
    take_and_seal(5)
    tell("upgraded", {"version": version(), "ledger": ledger()})
    install("0.1.0")
    until("the old version answers", report)
    take_and_seal(5)
    tell("back", {"version": version(), "ledger": ledger()})


def second_life() -> None:
    until("the gateway came up with the machine", report)
    take_and_seal(5)
    tell("again", {"version": version(), "ledger": ledger()})


def main() -> None:
    system = run("systemctl", "is-system-running", check=False)
    failed = run("systemctl", "--failed", "--plain", "--no-legend")
    tell("system", {"state": system, "failed": failed, "machine": run("uname", "-m")})
    try:
        live = second_life if CONFIG.exists() else first_life
        live()
        tell("end", "well")
    except (NotSoError, OSError, ValueError, subprocess.SubprocessError) as error:
        tell("end", str(error)[-3000:])
    finally:
        run("systemctl", "poweroff", "--no-block")


if __name__ == "__main__":
    main()
