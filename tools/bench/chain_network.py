"""Four validators on loopback: ours, and CometBFT's built-in kvstore with the same settings."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final

from consortium.client import ChainClient
from consortium.comet.files import NODE_FOLDER, RPC_SOCKET_NAME, write_node_files
from consortium.comet.founding import Places, make_localnet
from consortium.comet.install import find_installed
from consortium.comet.rpc import NodeRpc
from consortium.config import CERTIFICATE_NAME, read_config
from consortium.errors import ChainUnavailableError, ConfigError
from consortium.tls import certificate_digest
from gateway.demo.ports import free_ports
from ledger.chain_genesis import Genesis
from tools.bench.processes import wait_until
from tools.bench.session import BenchError, Session

VALIDATORS: Final = 4
CHAIN_ID: Final = "wharf-bench"
WHARF: Final = (
    sys.executable, "-c", "import sys; from ledger.cli import main; sys.exit(main())",
)  # fmt: skip  # the program of this tree
POLL_S: Final = 0.01
WITHIN_S: Final = 120.0
Hand = Callable[[Path, Sequence[bytes]], list[str]]
METAS_MAX: Final = 20  # blocks that one `blockchain` call tells of


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A running network; asleep while its peer is measured, so that neither slows the other."""

    genesis: Genesis
    homes: tuple[Path, ...]
    servers: tuple[str, ...]
    children: tuple[subprocess.Popen[str], ...]

    @property
    def rpcs(self) -> list[NodeRpc]:
        """Each node's own RPC."""
        return [NodeRpc(home / RPC_SOCKET_NAME) for home in self.homes]

    def sleep(self) -> None:
        """Stops every process where it is, for some seconds at most: then its peers would go."""
        self._signal(signal.SIGSTOP)

    def wake(self) -> None:
        """Lets every process go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        for child in self.children:
            os.killpg(child.pid, number)

    def client(self) -> ChainClient:
        """A client of the first organisation."""
        pem = (self.homes[0] / CERTIFICATE_NAME).read_bytes()
        return ChainClient(
            self.servers[0], certificate_pem=pem, certificate_sha256=certificate_digest(pem)
        )

    @property
    def height(self) -> int:
        """The first node's height; -1 while it does not answer."""
        with suppress(ChainUnavailableError, KeyError):
            return int(self.rpcs[0].call("status")["sync_info"]["latest_block_height"])
        return -1

    def committed(self, after_height: int, to_height: int) -> int:
        """Transactions in the blocks after a height."""
        count = 0
        for first in range(after_height + 1, to_height + 1, METAS_MAX):
            last = min(first + METAS_MAX - 1, to_height)
            told = self.rpcs[0].call("blockchain", minHeight=str(first), maxHeight=str(last))
            count += sum(int(meta["num_txs"]) for meta in told["block_metas"])
        return count

    def rate(self, txs: Sequence[bytes], hand: Hand | None = None) -> float:
        """Transactions a second, from the first one sent, spread over all nodes, to the last one
        committed. Raises BenchError when they do not all come into blocks.
        """
        seen, count, begun = self.height, 0, time.perf_counter()
        send(self.homes, txs, hand or in_batches)
        while count < len(txs):
            now = self.height
            if now > seen:
                count, seen = count + self.committed(seen, now), now
            elif time.perf_counter() - begun > WITHIN_S:
                raise BenchError(f"{count} of {len(txs)} transactions committed, then no more")
            time.sleep(POLL_S)
        return len(txs) / (time.perf_counter() - begun)


def in_batches(home: Path, txs: Sequence[bytes]) -> list[str]:
    """What a node has against these, handed over by hundreds; nothing waits for its check."""
    return [word for word in NodeRpc(home / RPC_SOCKET_NAME).broadcast(txs) if word]


def one_by_one(home: Path, txs: Sequence[bytes]) -> list[str]:
    """What a node has against these, each in a call of its own that waits for its check."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(home / RPC_SOCKET_NAME))
        stream = connection.makefile("rb")
        answers = []
        for tx in txs:
            connection.sendall(_request(tx))
            answers.append(_answer(stream))
    return [str(answer) for answer in answers if answer.get("error") or answer["result"]["code"]]


def _request(tx: bytes) -> bytes:
    parameters = {"tx": base64.b64encode(tx).decode()}
    body = json.dumps(
        {"jsonrpc": "2.0", "id": 0, "method": "broadcast_tx_sync", "params": parameters}
    ).encode()
    head = "POST / HTTP/1.1\r\nHost: node\r\nContent-Type: application/json\r\nContent-Length: "
    return f"{head}{len(body)}\r\n\r\n".encode() + body


def _answer(stream: IO[bytes]) -> dict[str, Any]:
    length = 0
    while (line := stream.readline().strip()) != b"":
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    answer: dict[str, Any] = json.loads(stream.read(length))
    return answer


def send(homes: Sequence[Path], txs: Sequence[bytes], hand: Hand) -> None:
    """Hands each transaction to one node, all nodes at once; raises BenchError for a refusal."""
    with ThreadPoolExecutor(len(homes)) as threads:
        parts = [txs[number :: len(homes)] for number in range(len(homes))]
        pairs = [(home, part) for home, part in zip(homes, parts, strict=True) if part]
        refused = [word for words in threads.map(lambda pair: hand(*pair), pairs) for word in words]
    if refused:
        raise BenchError(f"{len(refused)} transactions were not taken: {refused[0]}")


def _founded(session: Session, name: str) -> tuple[Genesis, tuple[Path, ...], tuple[str, ...]]:
    ports = free_ports(2 * VALIDATORS)
    places = [
        Places(server=f"127.0.0.1:{one}", node=f"127.0.0.1:{two}")
        for one, two in zip(ports[::2], ports[1::2], strict=True)
    ]
    genesis, homes = make_localnet(
        session.fresh_folder(name), VALIDATORS, chain_id=CHAIN_ID, places=places,
        now=datetime.now(UTC),
    )  # fmt: skip  # one call
    return genesis, tuple(homes), tuple(place.server for place in places)


def our_network(session: Session) -> Network:
    """Four organisations as `wharf chain run` runs them; returns when they make blocks."""
    engine()
    genesis, homes, servers = _founded(session, "ours")
    children = tuple(session.start([*WHARF, "chain", "run", "--home", home]) for home in homes)
    return _alive(Network(genesis=genesis, homes=homes, servers=servers, children=children))


def kvstore_network(session: Session) -> Network:
    """Four nodes with the kvstore in their own process, else set as ours."""
    binary = engine()
    genesis, homes, servers = _founded(session, "kvstore")
    for home in homes:
        write_node_files(read_config(home), genesis)
        path = home / NODE_FOLDER / "config" / "config.toml"
        lines = path.read_text(encoding="utf-8").splitlines()
        kept = [line for line in lines if not line.startswith("proxy_app")]
        path.write_text("\n".join(['proxy_app = "kvstore"', *kept]), encoding="utf-8")
    children = tuple(
        session.start([binary, "node", "--home", home / NODE_FOLDER]) for home in homes
    )
    return _alive(Network(genesis=genesis, homes=homes, servers=servers, children=children))


def engine() -> Path:
    """CometBFT as `wharf chain install` left it; raises BenchError."""
    try:
        return find_installed().path
    except ConfigError as error:
        raise BenchError(str(error)) from error


def _alive(network: Network) -> Network:
    wait_until(lambda: all(map(_follows, network.rpcs)), "the first block of four validators")
    return network


def _follows(rpc: NodeRpc) -> bool:
    """Whether a node has a block and fetches none from before."""
    with suppress(ChainUnavailableError, KeyError):
        told = rpc.call("status")["sync_info"]
        return int(told["latest_block_height"]) > 0 and not told["catching_up"]
    return False
