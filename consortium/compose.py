"""Where the chain machine's parts meet: keys, stores, engine, endpoints, and what is plugged in."""

import asyncio
import fcntl
import os
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from consortium.abci_pb.abci_pb2 import Request, Response
from consortium.anchorer import Anchorer, HeadSource, PartyIdentity, StatementSource
from consortium.comet.abci_server import AbciServer
from consortium.comet.engine import CometEngine
from consortium.comet.files import ABCI_SOCKET_NAME, RPC_SOCKET_NAME
from consortium.comet.network import NetworkView
from consortium.comet.rpc import NodeRpc
from consortium.config import (
    CERTIFICATE_NAME,
    ENGINE_EMBEDDED,
    GENESIS_NAME,
    LOCK_NAME,
    PARTY_ID_NAME,
    TLS_KEY_NAME,
    VALIDATOR_KEY_NAME,
    VALIDATOR_STATE_NAME,
    ChainConfig,
)
from consortium.engine import EmbeddedEngine
from consortium.errors import ConfigError, ConsortiumError
from consortium.file_keys import FileSigner, ValidatorKey, read_key
from consortium.gossip_server import GossipPort
from consortium.metrics import Numbers, serve_metrics
from consortium.node import ChainNode
from consortium.operator import Operator
from consortium.server import (
    STOP_GRACE_S,
    Method,
    make_server,
    start_local_server,
)
from consortium.state_store import BlockStore, StateStore
from consortium.tls import certificate_digest
from consortium.transaction import NONCE_BYTES, fields
from consortium.wire import OPERATOR_SERVICE, PAGES_SERVICE
from ledger.chain_genesis import Genesis, decode_genesis
from ledger.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeParts:
    """What a plug-in may use. `poke`: tells the anchorer that something new arrived."""

    config: ChainConfig
    node: ChainNode
    party: PartyIdentity
    poke: Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugins:
    """What is added to the bare chain machine. `tasks` run until cancelled; `aclose` runs last."""

    gossip: GossipPort | None = None
    heads: HeadSource | None = None
    statements: StatementSource | None = None
    operator_methods: Mapping[str, Method] = field(default_factory=dict)
    pages_methods: Mapping[str, Method] = field(default_factory=dict)
    chain_methods: Mapping[str, Method] = field(default_factory=dict)
    tasks: Sequence[Callable[[], Coroutine[None, None, None]]] = ()
    numbers: Callable[[], Mapping[str, int]] = dict  # for Prometheus (`consortium.metrics.HELP`)
    aclose: Callable[[], Awaitable[None]] | None = None


Plug = Callable[[NodeParts], Awaitable[Plugins]]


async def no_plugins(parts: NodeParts) -> Plugins:
    """The bare chain machine."""
    del parts
    return Plugins()


def read_genesis(home: Path) -> Genesis:
    """The genesis document in a home folder; raises ConfigError."""
    path = home / GENESIS_NAME
    try:
        return decode_genesis(path.read_bytes())
    except (OSError, InputError) as error:
        raise ConfigError(f"{path}: {error}") from error


def own_party(config: ChainConfig, genesis: Genesis) -> PartyIdentity:
    """The party whose key this machine holds: of the genesis document, or named in a file of its
    own where its key was changed or it was admitted later.
    """
    signer = FileSigner(read_key(config.home / config.party.key))
    named = config.home / PARTY_ID_NAME
    if named.exists():
        try:
            party_id = bytes.fromhex(named.read_text(encoding="ascii"))
        except ValueError as error:
            raise ConfigError(f"{named}: not a party id in hex") from error
        return PartyIdentity(party_id=party_id, signer=signer)
    for party in genesis.parties:
        if party.spki == signer.public_key_der():
            return PartyIdentity(party_id=party.party_id, signer=signer)
    raise ConfigError(f"{config.party.key}: no party of the genesis document has this key")


def lock_home(home: Path, name: str = LOCK_NAME) -> int:
    """A descriptor that holds the folder for this process; raises ConfigError if another one
    does.
    """
    descriptor = os.open(home / name, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise ConfigError(f"{home}: a chain machine runs there already") from error
    return descriptor


def make_engine(home: Path, genesis: Genesis) -> tuple[EmbeddedEngine, StateStore]:
    """Opens the stores and the embedded engine; call it on the thread that shall own them."""
    state = StateStore(home, genesis.digest)
    engine = EmbeddedEngine(
        genesis=genesis,
        blocks=BlockStore(home, genesis.digest),
        state=state,
        key=ValidatorKey(home / VALIDATOR_KEY_NAME, home / VALIDATOR_STATE_NAME),
        clock_ns=time.time_ns,
    )
    return engine, state


def make_comet_engine(config: ChainConfig, genesis: Genesis) -> tuple[CometEngine, StateStore]:
    """Opens the state store for a CometBFT node; call it on the thread that shall own it."""
    state = StateStore(config.home, genesis.digest)
    engine = CometEngine(
        genesis=genesis,
        store=state,
        rpc=NodeRpc(config.home / RPC_SOCKET_NAME),
        clock_ns=time.time_ns,
        mono_s=time.monotonic,
        keep_blocks=config.comet.keep_blocks,
    )
    return engine, state


@dataclass(frozen=True, slots=True)
class _Running:
    """What an open engine needs beside the node: tasks, and a wait until others may connect."""

    tasks: Sequence[Callable[[], Coroutine[None, None, None]]] = ()
    ready: asyncio.Event | None = None
    network: NetworkView | None = None


async def _open_engine(node: ChainNode, config: ChainConfig, engine: str) -> _Running:
    if engine == ENGINE_EMBEDDED:
        await node.open(lambda: make_engine(config.home, node.genesis))
        return _Running()
    made: list[CometEngine] = []

    def make() -> tuple[CometEngine, StateStore]:
        opened = make_comet_engine(config, node.genesis)
        made.append(opened[0])
        return opened

    await node.open(make)
    comet, ready = made[0], asyncio.Event()

    async def answer(requests: Sequence[Request]) -> Sequence[Response]:
        return await node.on_thread(lambda: [comet.abci.answer(item) for item in requests])

    server = AbciServer(config.home / ABCI_SOCKET_NAME, answer)
    return _Running(
        [lambda: server.run(ready.set), lambda: comet.follow(node.on_thread)],
        ready,
        NetworkView(comet, NodeRpc(config.home / RPC_SOCKET_NAME)),
    )


def _network_methods(network: NetworkView | None) -> dict[str, Method]:
    """The operator's look at the other organisations, where there are any."""
    if network is None:
        return {}

    async def report(request: list[Any]) -> object:
        fields(request)
        return await asyncio.to_thread(network.report)

    return {"Network": report}


def _numbers(node: ChainNode, network: NetworkView | None) -> dict[str, int]:
    """What Prometheus is told (`consortium.metrics.HELP`); asked from its thread."""
    status = node.status()
    numbers = {
        "height": status.height,
        "time_ms": status.time_ms,
        "log_size": status.log_size,
        "waiting": status.waiting,
        "gateways": len(node.enrolled_feeds()),
    }
    if network is None:
        return numbers
    seen = network.report()
    return numbers | {
        "lag_blocks": seen["lag"],
        "peers": len(seen["peers"]),
        "votes_missing": sum(not voted for *_, voted in seen["votes"]),
        "app_hash_agrees": int(seen["app_hash_agrees"]),
        "misbehaviour": seen["misbehaviour"],
        "node_answers": int(seen["node_answers"]),
    }


def _new_nonce() -> bytes:
    return os.urandom(NONCE_BYTES)


async def run_chain(
    config: ChainConfig,
    *,
    stop: asyncio.Event,
    plug: Plug = no_plugins,
    ready: Callable[[int], None],
    engine: str = ENGINE_EMBEDDED,
) -> None:
    """Runs a chain machine until `stop` is set. `ready` is called once with the TLS port.

    With ENGINE_COMETBFT this is the application of a node that somebody else starts.

    Raises ConsortiumError subclasses where it cannot start or go on.
    """
    genesis = read_genesis(config.home)
    party = own_party(config, genesis)
    lock = lock_home(config.home)
    node = ChainNode(genesis=genesis, clock_ns=time.time_ns, waiting_max=config.server.waiting_max)
    try:
        running = await _open_engine(node, config, engine)
        await _run_open(config, node, party, running, stop=stop, plug=plug, ready=ready)
    except BaseExceptionGroup as group:  # a task's own error says more than the group around it
        ours = group.subgroup(ConsortiumError)
        if ours is None:
            raise
        raise _first(ours) from group
    finally:
        await node.aclose()
        os.close(lock)


def _first(group: BaseExceptionGroup[ConsortiumError]) -> ConsortiumError:
    """The first error in a group, however deep."""
    found = group.exceptions[0]
    return found if isinstance(found, ConsortiumError) else _first(found)


async def _plugged_in(
    config: ChainConfig, node: ChainNode, party: PartyIdentity, plug: Plug
) -> tuple[Plugins, Anchorer]:
    """What is added to the machine, and the anchorer that it may poke."""
    pokes: list[Callable[[], None]] = []

    def poke() -> None:
        for call in pokes:
            call()

    plugins = await plug(NodeParts(config=config, node=node, party=party, poke=poke))
    anchorer = Anchorer(
        node,
        party,
        heads=plugins.heads,
        statements=plugins.statements,
        new_nonce=_new_nonce,
        interval_s=config.anchoring.interval_ms / 1000,
        batch_max=config.anchoring.batch_max,
    )
    pokes.append(anchorer.poke)
    return plugins, anchorer


def _operator_methods(
    config: ChainConfig, node: ChainNode, party: PartyIdentity
) -> dict[str, Method]:
    certificate = (config.home / CERTIFICATE_NAME).read_bytes()
    return Operator(
        node, party, new_nonce=_new_nonce, certificate_sha256=certificate_digest(certificate)
    ).methods()


async def _run_open(
    config: ChainConfig,
    node: ChainNode,
    party: PartyIdentity,
    engine: _Running,
    *,
    stop: asyncio.Event,
    plug: Plug,
    ready: Callable[[int], None],
) -> None:
    plugins, anchorer = await _plugged_in(config, node, party, plug)
    server, port = _tls_server(config, node, plugins)
    methods = _operator_methods(config, node, party) | dict(plugins.operator_methods)
    methods |= _network_methods(engine.network)
    local_servers = [
        await start_local_server(config.operator_socket, OPERATOR_SERVICE, methods),
        await start_local_server(config.pages_socket, PAGES_SERVICE, plugins.pages_methods),
    ]
    servers = [server, *local_servers]
    await server.start()
    close_metrics = _serve_metrics(
        config, lambda: {**_numbers(node, engine.network), **plugins.numbers()}
    )
    try:
        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(call())
                for call in (*engine.tasks, node.make_blocks, anchorer.run, *plugins.tasks)
            ]
            if engine.ready is not None:
                await engine.ready.wait()
            ready(port)
            await stop.wait()
            await asyncio.gather(*(item.stop(STOP_GRACE_S) for item in servers))
            for task in running:
                task.cancel()
    finally:
        close_metrics()
        await asyncio.gather(*(item.stop(None) for item in servers))
        config.operator_socket.unlink(missing_ok=True)
        config.pages_socket.unlink(missing_ok=True)
        if plugins.aclose is not None:
            await plugins.aclose()


def _serve_metrics(config: ChainConfig, numbers: Numbers) -> Callable[[], None]:
    if not config.server.metrics:
        return lambda: None
    return serve_metrics(config.server.metrics, numbers)


def _tls_server(
    config: ChainConfig, node: ChainNode, plugins: Plugins
) -> tuple[grpc.aio.Server, int]:
    return make_server(
        node=node,
        methods=plugins.chain_methods,
        gossip=plugins.gossip,
        sessions_max=config.server.sessions_max,
        listen=config.server.listen,
        certificate_pem=(config.home / CERTIFICATE_NAME).read_bytes(),
        tls_key_pem=(config.home / TLS_KEY_NAME).read_bytes(),
    )
