"""A yard for whole-system tests: a broker, a chain machine and gateways, each a process of its own.

Everything that is started here is stopped by its own process id when the yard is closed.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from consortium.membership import admit_party, enrol_for_party
from consortium.plugs import reader_key
from consortium.read_model import ReadModel
from firmware_bridge.keys.softhsm import CONF_VARIABLE, SoftToken, make_token
from gateway.demo.ports import free_port
from gateway.demo.stage import wharf
from ledger.hashing import sha256
from ledger.sealed import reader_public

PIN: Final = "1234-right"
READY_S: Final = 30.0
STOP_S: Final = 20.0
POLL_S: Final = 0.02
FOR_EVER_US: Final = 1 << 62

_MOSQUITTO: Final = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence true
persistence_location {folder}/
autosave_interval {autosave_changes}
autosave_on_changes true
user root
max_inflight_messages 20
max_queued_messages 0
log_dest stderr
"""


def until(condition: Callable[[], Any], what: str, *, limit_s: float = READY_S) -> Any:
    """The first true answer of the condition; other processes' states send us no event."""
    deadline_s = time.monotonic() + limit_s
    while not (answer := condition()):
        assert time.monotonic() < deadline_s, f"{what}: not in {limit_s:.0f} s"
        time.sleep(POLL_S)
    return answer


@dataclass(slots=True)
class Program:
    """A program that can be started, killed and stopped again and again; its output is a file."""

    command: Sequence[str]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**os.environ, **self.environment},
                start_new_session=True,
            )

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Signals it, waits for its end; its exit code."""
        process, self.process = self.process, None
        if process is None:
            return 0
        process.send_signal(number)
        try:
            return process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"did not stop in {STOP_S} s: {self.tail()}") from None

    def check(self) -> bool:
        """True; raises where it ended by itself."""
        code = None if self.process is None else self.process.poll()
        assert code is None, f"ended by itself with {code}: {self.tail()}"
        return True

    def tail(self, characters: int = 3000) -> str:
        return self.text()[-characters:]

    def text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""


def listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


class Broker:
    """mosquitto; what it has queued is on its disk after so many changes."""

    def __init__(self, folder: Path, *, autosave_changes: int = 1) -> None:
        folder.mkdir(parents=True)
        self.port = free_port()
        conf = folder / "mosquitto.conf"
        conf.write_text(
            _MOSQUITTO.format(port=self.port, folder=folder, autosave_changes=autosave_changes)
        )
        program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        self.program = Program([program, "-c", str(conf)], folder / "broker.log")

    def start(self) -> None:
        self.program.start()
        until(lambda: self.program.check() and listens(self.port), "mosquitto")

    def kill(self) -> None:
        self.program.end(signal.SIGKILL)


class Machine:
    """A chain machine with its folder."""

    def __init__(self, home: Path, *, chain_id: str = "wharf-test", party: str = "Harbour") -> None:
        self.home, self.port = home, free_port()
        self.folder = home.parent
        self.keys = home.parent / f"{home.name}-keys"
        self.keys.mkdir(parents=True)
        command = (
            "chain", "init", "--home", str(home), "--chain-id", chain_id, "--party", party,
            "--listen", f"127.0.0.1:{self.port}",
        )  # fmt: skip  # a command line
        run_wharf(*command)
        self.genesis_path = home / "genesis.cbor"
        self.genesis = sha256(self.genesis_path.read_bytes()).hex()
        self.program = Program(
            wharf("chain", "run", "--home", str(home)), home.parent / f"{home.name}.log"
        )

    def start(self) -> None:
        self.program.start()
        until(
            lambda: (
                self.program.check()
                and listens(self.port)
                and (self.home / "operator.sock").exists()
            ),
            "the chain machine",
        )

    def kill(self) -> None:
        self.program.end(signal.SIGKILL)

    def enrol(self, code: str, party: str) -> bytes:
        """Admits the party and enrols the gateway in its name; the feed id."""
        key = self.keys / f"{party}.pem"
        asyncio.run(admit_party(self.home, party, key))
        return asyncio.run(enrol_for_party(self.home, code, party_name=party, key_path=key))

    def readings(self, device: str, channel: str | None = None) -> list[dict[str, Any]]:
        """What this machine opened of a device, in order."""
        model = ReadModel(self.home / "read_model.sqlite")
        try:
            return model.readings(device, from_wall_us=0, to_wall_us=FOR_EVER_US, channel=channel)
        finally:
            model.close()

    def gaps(self, device: str) -> list[dict[str, Any]]:
        model = ReadModel(self.home / "read_model.sqlite")
        try:
            return model.gaps(device)
        finally:
            model.close()

    def anchored_height(self) -> int:
        """The newest anchored height that the read model knows of its only feed, or -1."""
        model = ReadModel(self.home / "read_model.sqlite")
        try:
            return max((row[2] for row in model.rows("anchored")), default=-1)
        finally:
            model.close()


@dataclass(frozen=True, slots=True)
class Device:
    """A device of a gateway's configuration."""

    id: str
    driver: str
    source: str
    interval_s: int = 0
    options: Mapping[str, str | int] = field(default_factory=dict)

    def toml(self) -> str:
        rows = [
            f'[[device]]\nid = "{self.id}"\ndriver = "{self.driver}"\nsource = "{self.source}"',
            f"interval_s = {self.interval_s}\naudience = 1",
        ]
        options = [f"{name} = {json.dumps(value)}" for name, value in self.options.items()]
        return "\n".join([*rows, *(["[device.options]", *options] if options else [])])


class GatewayBox:
    """A gateway with its folder and its token."""

    def __init__(
        self,
        folder: Path,
        machine: Machine,
        *,
        broker_port: int,
        devices: Sequence[Device],
        name: str = "cold-room",
        party: str = "Cold Store Ltd",
        seal_count: int = 1000,
        more: str = "",
        machine_reads: bool = True,
    ) -> None:
        folder.mkdir(parents=True)
        self.folder, self.name, self.machine = folder, name, machine
        self.data_dir, self.config = folder / "data", folder / "gateway.toml"
        self.token: SoftToken = make_token(folder / "token", label=name, pin=PIN)
        self.environment = {CONF_VARIABLE: str(self.token.conf_path)}
        self.config.write_text(
            self._toml(party, broker_port, devices, seal_count, machine_reads) + more,
            encoding="utf-8",
        )
        code = run_wharf(
            "gateway", "init", "--config", str(self.config), "--name", name, "--party", party,
            environment=self.environment,
        )  # fmt: skip  # a command line
        self.feed_id = machine.enrol(code.strip(), party)
        self.program = Program(
            wharf("gateway", "run", "--config", str(self.config)),
            folder / "gateway.log",
            self.environment,
        )

    def _toml(
        self,
        party: str,
        broker_port: int,
        devices: Sequence[Device],
        seal_count: int,
        machine_reads: bool,
    ) -> str:
        readers = [reader_public(os.urandom(32)).hex() for _ in range(2)]
        if machine_reads:
            readers[0] = reader_key(self.machine.home).hex()
        tables = [
            f'[gateway]\nname = "{self.name}"\nparty = "{party}"\ndata_dir = "{self.data_dir}"',
            f'[key]\nuri = "{self.token.uri("ledger")}"',
            f"[seal]\ncount = {seal_count}\ninterval_s = 1\nidle_s = 2",
            "[status]\nport = 0",
            f"[broker]\nport = {broker_port}",
            "[[consortium]]",
            f'address = "127.0.0.1:{self.machine.port}"',
            f'certificate = "{self.machine.home / "tls_certificate.pem"}"',
            f'genesis_sha256 = "{self.machine.genesis}"',
            f'[[audience]]\nid = 1\nname = "goods"\nreaders = {json.dumps(readers)}',
        ]
        tables += [item.toml() for item in devices]
        return "\n".join(tables) + "\n"

    def start(self) -> float:
        """Starts it; the seconds until it accepts: status answers and the broker is connected."""
        (self.data_dir / "status.port").unlink(missing_ok=True)
        begun_s = time.monotonic()
        self.program.start()
        until(self._accepts, "the gateway")
        return time.monotonic() - begun_s

    def _accepts(self) -> bool:
        self.program.check()
        report = self.report()
        return report is not None and (report["mqtt"] is None or report["mqtt"]["connected"])

    def kill(self) -> None:
        self.program.end(signal.SIGKILL)

    def stop(self) -> int:
        return self.program.end()

    def report(self) -> dict[str, Any] | None:
        """The status page's report, None while nobody answers."""
        try:
            port = int((self.data_dir / "status.port").read_text(encoding="ascii"))
            with urllib.request.urlopen(
                f"http://127.0.0.1:{port}/status.json", timeout=5
            ) as answer:
                report: dict[str, Any] = json.load(answer)
                return report
        except (OSError, ValueError):
            return None

    def status(self) -> dict[str, Any]:
        """The report of a gateway that has to answer."""
        report: dict[str, Any] = until(
            lambda: self.program.check() and self.report(), "the status page"
        )
        return report

    def until(
        self, condition: Callable[[dict[str, Any]], Any], what: str, *, limit_s: float = READY_S
    ) -> dict[str, Any]:
        """The first report for which the condition holds."""

        def asked() -> dict[str, Any] | None:
            report = self.status()
            return report if condition(report) else None

        answer: dict[str, Any] = until(asked, what, limit_s=limit_s)
        return answer

    def settle(self, *, limit_s: float = 60.0) -> int:
        """Waits until all that is here now is anchored and opened; the height up to which."""
        target: int = self.until(lambda r: r["pending"] == 0, "an empty journal", limit_s=limit_s)[
            "sealed_height"
        ]
        self.until(
            lambda r: r["anchored_height"] >= target and r["opened_height"] >= target,
            f"anchor and opening of height {target}",
            limit_s=limit_s,
        )
        until(lambda: self.machine.anchored_height() >= target, "the read model's anchor")
        return target


class Yard:
    """One folder with everything in it; `close` ends all that runs."""

    def __init__(self, folder: Path, *, autosave_changes: int = 1) -> None:
        self.folder = folder
        self._programs: list[Program] = []
        self.broker = Broker(folder / "broker", autosave_changes=autosave_changes)
        self._programs.append(self.broker.program)
        try:
            self.broker.start()
            self.machine = self.add_machine("chain")
        except BaseException:  # whatever it was: the broker must not outlive it
            self.close()
            raise

    def add_machine(self, name: str, **names: str) -> Machine:
        machine = Machine(self.folder / name, **names)
        self._programs.append(machine.program)
        machine.start()
        return machine

    def add_gateway(
        self,
        folder: str,
        devices: Sequence[Device],
        *,
        machine: Machine | None = None,
        broker_port: int | None = None,
        name: str = "cold-room",
        seal_count: int = 1000,
        more: str = "",
        machine_reads: bool = True,
    ) -> GatewayBox:
        """A gateway that is enrolled and runs. more: more tables of its file."""
        box = GatewayBox(
            self.folder / folder,
            machine or self.machine,
            broker_port=broker_port or self.broker.port,
            devices=devices,
            name=name,
            seal_count=seal_count,
            more=more,
            machine_reads=machine_reads,
        )
        self._programs.append(box.program)
        box.start()
        return box

    def close(self) -> None:
        for program in reversed(self._programs):
            if program.process is not None and program.process.poll() is None:
                program.end()


def wharf_result(
    *arguments: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """A finished `wharf` command, whatever it came to."""
    return subprocess.run(
        wharf(*arguments),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
        env={**os.environ, **(environment or {})},
    )


def run_wharf(*arguments: str, environment: Mapping[str, str] | None = None) -> str:
    """The output of a `wharf` command that has to succeed."""
    result = wharf_result(*arguments, environment=environment)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout
