"""The gateway as it ships: `wharf gateway run`, a SoftHSM key in its signer process, a broker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

from firmware_bridge.errors import KeyHolderError
from firmware_bridge.keys.softhsm import CONF_VARIABLE, make_token
from ledger.sealed import reader_public
from tools.bench.load import Sensors
from tools.bench.processes import family, wait_until
from tools.bench.session import BenchError, Session

UNIT = Path(__file__).resolve().parents[2] / "deploy/raspberrypi/wharf-gateway.service"
WHARF = Path(sys.executable).with_name("wharf")


class OwnGateway:
    """A running gateway."""

    def __init__(self, session: Session, *, broker_port: int) -> None:
        folder = session.fresh_folder("gateway")
        try:
            token = make_token(folder, label="bench", pin="1234")
        except KeyHolderError as error:
            raise BenchError(f"{error}: sudo apt-get install softhsm2") from error
        environment = {**os.environ, CONF_VARIABLE: str(token.conf_path)}
        config = folder / "gateway.toml"
        readers = [
            word for seed in (b"1", b"2") for word in ("--reader", reader_public(seed * 32).hex())
        ]
        subprocess.run(
            [WHARF, "gateway", "init", "--config", config, "--name", "bench", "--party", "bench",
             "--data-dir", folder / "data", "--key", token.uri("feed"), *readers],
            env=environment, check=True, capture_output=True,
        )  # fmt: skip  # one option a word
        config.write_text(_configured(config.read_text(encoding="utf-8"), broker_port))
        command: list[str | Path] = [WHARF, "gateway", "run", "--config", config]
        with (folder / "log").open("w") as log:
            self.process = session.start(
                command, env={**_as_shipped(), CONF_VARIABLE: str(token.conf_path)}, stderr=log
            )
        self._port_file = folder / "data" / "status.port"
        wait_until(self._is_ready, f"the gateway is up, see {folder}/log")

    def _is_ready(self) -> bool:
        if not self._port_file.exists() or self.process.poll() is not None:
            return False
        report = self.report()
        mqtt = report["mqtt"]
        return bool(mqtt and mqtt["connected"] and report["signed_height"] >= 0) or self._ask()

    def _ask(self) -> bool:
        self.seal()
        return False

    def report(self) -> dict[str, Any]:
        """What /status.json says."""
        port = int(self._port_file.read_text(encoding="ascii"))
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/status.json", timeout=5) as answer:
            report: dict[str, Any] = json.load(answer)
            return report

    def seal(self) -> None:
        """Asks for a block now."""
        os.kill(self.process.pid, signal.SIGUSR1)

    def acknowledged(self) -> int:
        """Messages that were durable, and of which the broker was told so."""
        count: int = self.report()["acknowledged"]
        return count

    def seal_and_sign(self) -> None:
        """Returns when everything taken so far is in a signed block."""
        height = self.report()["sealed_height"]
        self.seal()
        wait_until(lambda: self._is_signed_above(height), "everything is signed")

    def _is_signed_above(self, height: int) -> bool:
        report = self.report()
        return bool(
            report["pending"] == 0
            and report["sealed_height"] > height
            and report["signed_height"] == report["sealed_height"]
        )

    @property
    def signer_pid(self) -> int:
        """The signer process."""
        return family(self.process.pid)[1]


def _as_shipped() -> dict[str, str]:
    """The environment that the unit gives."""
    lines = UNIT.read_text(encoding="utf-8").splitlines()
    given = [line.partition("=")[2].split() for line in lines if line.startswith("Environment=")]
    return dict(word.split("=", 1) for row in given for word in row)


def _configured(text: str, broker_port: int) -> str:
    """The configuration that init wrote, with the bench's broker and sensors."""
    text = text.replace("# port = 1883", f"port = {broker_port}").replace(
        "# port = 8377", "port = 0"
    )
    for spec in Sensors().specs.values():
        text += (
            f'\n[[device]]\nid = "{spec.id}"\ndriver = "{spec.driver}"\nsource = "{spec.source}"\n'
            "interval_s = 10\naudience = 1\n"
        )
    return text
