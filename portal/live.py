"""The live page's server: one page, its files, one stream of changes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from portal import page
from portal.errors import AddressInUseError
from portal.fold import Fold
from portal.tail import follow

log = logging.getLogger(__name__)

VIEWERS_MAX = 32
BATCHES_WAITING_MAX = 256
HEARTBEAT_SECONDS = 10
SECURITY_HEADERS = {
    "Content-Security-Policy": page.LIVE_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}

Batch = list[dict[str, Any]]


class Broadcast:
    """Hands each batch of changes to all viewers; one that is too slow is sent away.

    Its browser comes back by itself and gets all anew, so memory stays bounded.
    """

    def __init__(self, fold: Fold) -> None:
        self.fold = fold
        self._viewers: set[asyncio.Queue[Batch | None]] = set()

    @property
    def viewer_count(self) -> int:
        """Return how many pages are watching."""
        return len(self._viewers)

    def send(self, batch: Batch) -> None:
        """Queue one batch for each viewer."""
        for viewer in list(self._viewers):
            if viewer.full():
                self._viewers.discard(viewer)
                viewer.get_nowait()
                viewer.put_nowait(None)
            else:
                viewer.put_nowait(batch)

    async def watch(self) -> AsyncIterator[str]:
        """Yield server-sent events: all that is known first, then each change."""
        viewer: asyncio.Queue[Batch | None] = asyncio.Queue(BATCHES_WAITING_MAX)
        self._viewers.add(viewer)
        try:
            yield server_sent(self.fold.snapshot())
            while True:
                try:
                    batch = await asyncio.wait_for(viewer.get(), HEARTBEAT_SECONDS)
                except TimeoutError:
                    yield ": still here\n\n"
                    continue
                if batch is None:
                    return
                yield server_sent(batch)
        finally:
            self._viewers.discard(viewer)


def server_sent(messages: Sequence[Mapping[str, Any]]) -> str:
    """Return one server-sent event that carries the messages as JSON."""
    return f"data: {json.dumps(messages, ensure_ascii=False, separators=(',', ':'))}\n\n"


async def pump(path: Path, broadcast: Broadcast) -> None:
    """Carry changes of the file to the viewers until cancelled."""
    async for batch in follow(path, broadcast.fold):
        broadcast.send(batch)


def make_app(path: Path, hosts: Sequence[str]) -> Starlette:
    """Return the web application that shows the events of the file at path.

    hosts: names that a browser may ask for; a foreign page that points its own name at this
    machine gets nothing.
    """
    broadcast = Broadcast(Fold())

    async def show_page(_request: Request) -> Response:
        return HTMLResponse(page.live_page(broadcast.fold.snapshot()), headers=SECURITY_HEADERS)

    async def show_asset(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in (page.STYLE, *page.SCRIPTS):
            return PlainTextResponse("no such file\n", 404, SECURITY_HEADERS)
        media_type = page.MEDIA_TYPES[name.rpartition(".")[2]]
        return Response(page.asset(name), headers=SECURITY_HEADERS, media_type=media_type)

    async def stream_events(_request: Request) -> Response:
        if broadcast.viewer_count >= VIEWERS_MAX:
            return PlainTextResponse("too many viewers\n", 503, SECURITY_HEADERS)
        return StreamingResponse(
            broadcast.watch(), headers=SECURITY_HEADERS, media_type="text/event-stream"
        )

    async def tell_health(_request: Request) -> Response:
        return PlainTextResponse("ok\n", headers=SECURITY_HEADERS)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        task = asyncio.create_task(pump(path, broadcast))
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    routes = [
        Route("/", show_page),
        Route("/events", stream_events),
        Route("/static/{name}", show_asset),
        Route("/healthz", tell_health),
    ]
    guard = Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False)
    return Starlette(routes=routes, lifespan=lifespan, middleware=[guard])


def hosts_of(listener: socket.socket) -> list[str]:
    """Return the names a page on this address goes by: on loopback only the local ones."""
    host = str(listener.getsockname()[0])
    return ["127.0.0.1", "localhost"] if host.startswith("127.") else ["*"]


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 takes a free one. Raises AddressInUseError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(VIEWERS_MAX)  # an early visitor waits instead of being refused
    except OSError as error:
        listener.close()
        raise AddressInUseError(host, port, error.strerror or str(error)) from error
    return listener


def address_of(listener: socket.socket) -> str:
    """Return the page's address for a person to open."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def serve(path: Path, listener: socket.socket) -> None:
    """Serve the page until SIGINT or SIGTERM."""
    config = uvicorn.Config(
        make_app(path, hosts_of(listener)),
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,  # a stream never ends by itself
    )
    log.info("page_open address=%s", address_of(listener))
    uvicorn.Server(config).run(sockets=[listener])
