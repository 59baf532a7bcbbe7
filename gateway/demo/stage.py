"""Where the demo plays: a folder, ports, tokens, a broker, and programs that are started and
stopped by id.
"""

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from firmware_bridge.errors import KeyHolderError
from firmware_bridge.keys.softhsm import CONF_VARIABLE, SoftToken, make_token, softhsm_module
from gateway.demo.ports import free_port
from gateway.errors import GatewayError

READY_S: Final = 20.0
STOP_S: Final = 15.0
PIN: Final = "demo-only-1234"


class DemoError(GatewayError):
    """A part of the demo did not start or did not stop."""


@dataclass(slots=True)
class Program:
    """A running program; its output goes to a file."""

    name: str
    process: asyncio.subprocess.Process
    log: Path


@dataclass(slots=True)
class Stage:
    """The demo's folder and everything that runs in it."""

    folder: Path
    programs: dict[str, Program] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    broker_keeps: bool = True

    async def start(
        self, name: str, command: Sequence[str], environment: dict[str, str] | None = None
    ) -> Program:
        """Starts a program in its own session, so that Ctrl-C reaches only the demo itself."""
        log = self.folder / "logs" / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as file:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )
        program = Program(name, process, log)
        self.programs[name] = program
        return program

    async def stop(self, name: str, number: int = signal.SIGTERM) -> None:
        """Signals a program by its id and waits for its end."""
        program = self.programs.pop(name, None)
        if program is None or program.process.returncode is not None:
            return
        program.process.send_signal(number)
        try:
            async with asyncio.timeout(STOP_S):
                await program.process.wait()
        except TimeoutError:
            program.process.kill()
            await program.process.wait()

    async def stop_all(self) -> None:
        """Stops everything, last started first."""
        for name in reversed(list(self.programs)):
            await self.stop(name)

    def check_running(self) -> None:
        """Raises DemoError where a program ended by itself."""
        for program in self.programs.values():
            if program.process.returncode is not None:
                raise DemoError(f"{program.name} ended: {tail(program.log)}")

    async def wait_for_file(self, path: Path, what: str) -> None:
        """Waits until a program has made a file."""
        try:
            async with asyncio.timeout(READY_S):
                while not _there(path):  # another process makes it
                    self.check_running()
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise DemoError(f"{what} did not come up in {READY_S:.0f} s") from None


def _there(path: Path) -> bool:
    return path.exists()


def tail(path: Path, characters: int = 400) -> str:
    """The end of a log, for a message."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")[-characters:].strip()
    except OSError:
        return "no log"


def wharf(*arguments: str) -> list[str]:
    """A `wharf` command of this very installation."""
    return [sys.executable, "-m", "ledger.cli", "--log", "info", *arguments]


async def run_wharf(*arguments: str, environment: dict[str, str] | None = None) -> str:
    """The standard output of a `wharf` command; raises DemoError where it fails."""
    process = await asyncio.create_subprocess_exec(
        *wharf(*arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **(environment or {})},
    )
    output, errors = await process.communicate()
    if process.returncode:
        said = errors.decode(errors="replace").strip()
        raise DemoError(f"wharf {arguments[0]} {arguments[1]} failed: {said[-400:]}")
    return output.decode().strip()


def token_for(stage: Stage, name: str) -> SoftToken | None:
    """A token with a PIN of its own, None where SoftHSM is not installed: a development
    key then.
    """
    if softhsm_module() is None:
        return None
    try:
        return make_token(stage.folder / "tokens" / name, label=name, pin=PIN)
    except KeyHolderError as error:
        stage.notes.append(f"no token ({error}): development key")
        return None


def token_environment(token: SoftToken | None) -> dict[str, str]:
    """What a program needs to find the token."""
    return {} if token is None else {CONF_VARIABLE: str(token.conf_path)}


_MOSQUITTO: Final = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence true
persistence_location {folder}/
autosave_interval 5
autosave_on_changes false
max_inflight_messages 20
max_queued_messages 10000
max_packet_size 131072
log_dest stderr
"""


def _broker_config(folder: Path, port: int) -> Path:
    folder.mkdir(parents=True)
    folder.chmod(0o777)  # mosquitto gives up root for a user of its own
    config = folder / "mosquitto.conf"
    config.write_text(_MOSQUITTO.format(port=port, folder=folder), encoding="ascii")
    return config


async def start_broker(stage: Stage) -> int:
    """mosquitto with persistence, or the in-process stand-in where it is not installed;
    its port.
    """
    port = free_port()
    program = shutil.which("mosquitto") or shutil.which(
        "mosquitto", path="/usr/sbin:/usr/local/sbin"
    )
    if program:
        command = [program, "-c", str(_broker_config(stage.folder / "broker", port))]
    else:
        stage.broker_keeps = False
        stage.notes.append(
            "mosquitto is not installed: a stand-in broker, nothing survives its end"
        )
        command = [sys.executable, "-m", "gateway.demo.broker", str(port)]
    await stage.start("broker", command)
    await wait_for_port(stage, port, "the MQTT broker")
    return port


async def wait_for_port(stage: Stage, port: int, what: str) -> None:
    """Waits until something listens."""
    try:
        async with asyncio.timeout(READY_S):
            while True:
                stage.check_running()
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(0.05)
                else:
                    writer.close()
                    return
    except TimeoutError:
        raise DemoError(f"{what} did not come up in {READY_S:.0f} s") from None
