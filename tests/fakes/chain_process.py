"""A chain machine as its own process, as an operator starts it; to be asked, stopped and killed."""

import asyncio
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from consortium.client import ChainClient, OperatorClient
from consortium.config import CERTIFICATE_NAME, OPERATOR_SOCKET_NAME
from consortium.founding import Founded, found_chain

WHARF = [sys.executable, "-c", "import sys; from ledger.cli import main; sys.exit(main())"]


def wharf(*words: str, timeout_s: float = 60) -> "subprocess.CompletedProcess[str]":
    """A finished `wharf` command."""
    return subprocess.run(
        [*WHARF, *words], capture_output=True, text=True, timeout=timeout_s, check=False
    )


class ChainProcess:
    """One home folder, and the process that runs on it while it runs."""

    def __init__(self, home: Path, **environment: str) -> None:
        self.home, self._environment = home, environment
        self.founded: Founded | None = None
        self.address = ""
        self._process: subprocess.Popen[str] | None = None

    def found(self) -> "ChainProcess":
        """Makes the chain."""
        self.founded = found_chain(
            self.home,
            chain_id="wharf-test",
            party_name="operator",
            listen="127.0.0.1:0",
            now=datetime.now(UTC),
        )
        return self

    def start(self) -> "ChainProcess":
        """Runs it; returns when it listens."""
        self._process = subprocess.Popen(
            [*WHARF, "chain", "run", "--home", str(self.home)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | self._environment,
        )
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line.startswith("listening "):
            _, errors = self._process.communicate(timeout=30)
            raise AssertionError(f"chain machine did not start: {errors}")
        self.address = line.split()[1]
        return self

    def client(self, timeout_s: float = 20) -> ChainClient:
        """A client that pins its certificate."""
        assert self.founded
        return ChainClient(
            self.address,
            certificate_pem=(self.home / CERTIFICATE_NAME).read_bytes(),
            certificate_sha256=self.founded.certificate_sha256,
            timeout_s=timeout_s,
        )

    async def operate(self, method: str, *request: object) -> Any:
        """The answer of an operator method."""
        async with OperatorClient(self.home / OPERATOR_SOCKET_NAME) as client:
            return await client.call(method, *request)

    def kill(self) -> None:
        """SIGKILL, now."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> int:
        if self._process is None:
            return 0
        process, self._process = self._process, None
        process.send_signal(number)
        process.communicate(timeout=30)
        return process.returncode

    async def kill_soon(self, after_s: float) -> None:
        """SIGKILL after a while, whatever is under way."""
        await asyncio.sleep(after_s)
        self.kill()
