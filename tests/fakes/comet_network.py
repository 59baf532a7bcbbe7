"""A chain of several organisations on loopback: real nodes, real applications, real kills."""

import asyncio
import itertools
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from consortium.client import ChainClient, OperatorClient
from consortium.comet.files import RPC_SOCKET_NAME
from consortium.comet.founding import Places, make_localnet
from consortium.comet.rpc import NodeRpc
from consortium.config import CERTIFICATE_NAME, OPERATOR_SOCKET_NAME
from consortium.enrolment import EnrolmentCode, encode_enrolment
from consortium.errors import ChainUnavailableError, ConsortiumError
from consortium.file_keys import FileSigner
from consortium.tls import certificate_digest
from consortium.transaction import (
    KIND_ANCHORS,
    SENDER_GATEWAY,
    Sender,
    new_transaction,
    sign_transaction,
)
from gateway.demo.ports import free_ports
from ledger.chain_genesis import Genesis
from ledger.feed import AnchorItem
from ledger.hashing import sha256
from tests.fakes.chain_process import WHARF
from tests.fakes.gateway_feed import GatewayFeed

CHAIN_ID = "wharf-net"
_COUNT = itertools.count()


def children(pid: int) -> dict[int, str]:
    """Processes that a process started, with their command lines."""
    found = {}
    with suppress(OSError):
        for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            with suppress(OSError):
                found[int(word)] = Path(f"/proc/{word}/cmdline").read_bytes().decode()
    return found


class Organisation:
    """One organisation's machine: its supervisor, its application, its node."""

    def __init__(self, home: Path, genesis: Genesis, address: str, **environment: str) -> None:
        self.home, self.genesis, self.address = home, genesis, address
        self.environment = environment
        self._supervisor: subprocess.Popen[str] | None = None

    def start(self) -> "Organisation":
        """Runs it; returns when its application listens. Its log goes on in `run.log`."""
        with (self.home / "run.log").open("a") as log:
            self._supervisor = subprocess.Popen(
                [*WHARF, "chain", "run", "--home", str(self.home)],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=os.environ | self.environment,
            )
        return self

    def last_words(self) -> str:
        """The end of its log, for whoever has to find out why it is silent."""
        return (self.home / "run.log").read_text(errors="replace")[-1500:]

    def until_listening(self) -> "Organisation":
        """Waits for the line that says so."""
        assert self._supervisor
        assert self._supervisor.stdout
        if not self._supervisor.stdout.readline().startswith("listening "):
            raise AssertionError((self.home / "run.log").read_text())
        return self

    @property
    def running(self) -> bool:
        """Whether its supervisor runs."""
        return self._supervisor is not None and self._supervisor.poll() is None

    def pid_of(self, part: str) -> int:
        """Process id of its "node" or "application", once it is there."""
        assert self._supervisor
        word = "cometbft/cometbft" if part == "node" else "application"
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            for pid, command in children(self._supervisor.pid).items():
                if word in command:
                    return pid
            time.sleep(0.05)
        raise AssertionError(f"{self.home.name} has no {part}")

    def kill(self, *parts: str) -> None:
        """SIGKILL of "node", "application" or "supervisor"; without words: all three."""
        words = parts or ("supervisor", "node", "application")
        pids = [self.pid_of(word) for word in words if word != "supervisor"]
        if "supervisor" in words and self._supervisor:
            self._supervisor.kill()
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if "supervisor" in words:
            self._reap()

    def stop(self) -> int:
        """SIGTERM to the supervisor; its exit code."""
        assert self._supervisor
        self._supervisor.terminate()
        return self._reap()

    def wait(self, timeout_s: float = 60) -> int:
        """Its exit code, when it ends by itself."""
        assert self._supervisor
        return self._supervisor.wait(timeout_s)

    def _reap(self) -> int:
        if self._supervisor is None:
            return 0
        process, self._supervisor = self._supervisor, None
        process.communicate(timeout=60)
        return process.returncode

    def end(self) -> None:
        """Nothing of it runs any more."""
        if self._supervisor is None:
            return
        pids = list(children(self._supervisor.pid))
        self._supervisor.kill()
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._reap()

    def client(self, timeout_s: float = 20) -> ChainClient:
        """A client that pins its certificate."""
        pem = (self.home / CERTIFICATE_NAME).read_bytes()
        return ChainClient(
            self.address,
            certificate_pem=pem,
            certificate_sha256=certificate_digest(pem),
            timeout_s=timeout_s,
        )

    async def operate(self, method: str, *request: object) -> Any:
        """The answer of an operator method."""
        async with OperatorClient(self.home / OPERATOR_SOCKET_NAME) as client:
            return await client.call(method, *request)

    @property
    def rpc(self) -> NodeRpc:
        """Its node's RPC."""
        return NodeRpc(self.home / RPC_SOCKET_NAME)

    async def height(self) -> int:
        """Height of its newest proven block; -1 when it does not answer."""
        try:
            async with self.client(timeout_s=3) as client:
                return (await client.status()).height
        except ConsortiumError:
            return -1


class CometNetwork:
    """Organisations with one validator each."""

    def __init__(self, folder: Path, count: int = 4) -> None:
        ports = free_ports(2 * count)
        places = [
            Places(server=f"127.0.0.1:{ports[2 * n]}", node=f"127.0.0.1:{ports[2 * n + 1]}")
            for n in range(count)
        ]
        self.genesis, homes = make_localnet(
            folder, count, chain_id=CHAIN_ID, places=places, now=datetime.now(UTC)
        )
        self.organisations = [
            Organisation(home, self.genesis, place.server)
            for home, place in zip(homes, places, strict=True)
        ]

    def __getitem__(self, index: int) -> Organisation:
        return self.organisations[index]

    def start(self) -> "CometNetwork":
        """Runs all; returns when all applications listen."""
        for organisation in self.organisations:
            organisation.start()
        for organisation in self.organisations:
            organisation.until_listening()
        return self

    def end(self) -> None:
        """Kills what runs."""
        for organisation in self.organisations:
            organisation.end()

    async def enrol(self, name: str, by: int = 0) -> GatewayFeed:
        """A gateway's feed, enrolled by an organisation."""
        feed = GatewayFeed(name).grow(3)
        code = EnrolmentCode(
            feed_id=feed.feed_id,
            alg=-8,
            spki=feed.spki,
            genesis_leaf=feed.genesis_leaf,
            gateway_name="gateway",
            party_name=self[by].home.name,
        )
        await again_until(lambda: self[by].operate("Enrol", encode_enrolment(code), None))
        return feed

    async def until_height(self, height: int, *, who: Sequence[int], timeout_s: float = 60) -> None:
        """Waits until these organisations have proven this height."""
        deadline = time.monotonic() + timeout_s
        for index in who:
            while await self[index].height() < height:
                assert time.monotonic() < deadline, f"{self[index].home.name} is behind {height}"
                await asyncio.sleep(0.1)

    async def until_equal(self, *, who: Sequence[int], timeout_s: float = 60) -> bytes:
        """Waits until these organisations have the same proven application hash; returns it."""
        deadline = time.monotonic() + timeout_s
        while True:
            seen = []
            for index in who:
                with suppress(ConsortiumError):
                    async with self[index].client(timeout_s=3) as client:
                        status = await client.status()
                        seen.append((status.height, status.app_hash, status.log_size))
            if len(seen) == len(who) and len(set(seen)) == 1 and seen[0][0] > 0:
                return seen[0][1]
            assert time.monotonic() < deadline, (seen, [self[index].last_words() for index in who])
            await asyncio.sleep(0.2)


async def again_until(ask: Any, timeout_s: float = 60) -> Any:
    """The answer of a call that is sent again while the chain is unavailable."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return await ask()
        except ChainUnavailableError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)


async def anchor_tx(feed: GatewayFeed, *items: AnchorItem) -> bytes:
    """A gateway sends its own heads."""
    own = FileSigner(feed.key)
    transaction = new_transaction(
        own,
        chain_id=CHAIN_ID,
        kind=KIND_ANCHORS,
        sender=Sender(SENDER_GATEWAY, feed.feed_id),
        nonce=sha256(b"%d" % next(_COUNT))[:16],
        not_after=50_000,
        body=[1, [item.to_value() for item in items]],
    )
    return await sign_transaction(transaction, own)
