"""Status on loopback or the site's network: / for people, /healthz for a watchdog, /metrics for
Prometheus, /status.json for tools. It only answers; nothing can be changed or asked for through it.
"""

import ipaddress
import json
import logging
import socket
import threading
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from gateway.page import HEADERS, STYLE_PATH, style
from gateway.page_words import LANGUAGES, preferred

HTML: Final = "text/html; charset=utf-8"
REQUEST_S_MAX: Final = 5  # one answer at a time: a client that says nothing must not hold it up
HOST_CHARACTERS_MAX: Final = 255
TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
_log = logging.getLogger(__name__)

Report = Callable[[], dict[str, Any]]
Show = Callable[[str], bytes]  # language -> the page


def is_own_name(host: str) -> bool:
    """Whether a request's Host may mean this box: an address, or a name of the site's own network.

    A page from elsewhere whose name was turned to this address (DNS rebinding) is told nothing.
    """
    if not 0 < len(host) <= HOST_CHARACTERS_MAX:
        return False
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        own = socket.gethostname().lower()
        name = name.lower().removesuffix(".")
        return name in ("localhost", own) or name.endswith((".local", ".lan", ".home.arpa"))
    return True


class _Numbers(Collector):
    """Every number of a report as a gauge, its place in the report as its name."""

    def __init__(self, report: Report) -> None:
        self._report = report

    def collect(self) -> Iterable[GaugeMetricFamily]:
        report = self._report()
        for name, value in report.items():
            if isinstance(value, bool | int | float):
                yield GaugeMetricFamily(f"wharf_gateway_{name}", f"{name}", value=float(value))
        rows = report.get("channels", [])
        family = GaugeMetricFamily(
            "wharf_gateway_channel_readings",
            "readings journaled of a channel",
            labels=["device", "channel"],
        )
        for row in rows:
            family.add_metric([row["device"], row["channel"]], row["readings"])
        yield family


class _Quiet(WSGIRequestHandler):
    timeout = REQUEST_S_MAX

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class names it so
        """Requests of a watchdog every few seconds are no events."""


class StatusServer:
    """Serves a report until closed. `report` and `show` must be safe to call from another
    thread.
    """

    def __init__(self, host: str, port: int, report: Report, show: Show | None = None) -> None:
        self._report, self._show = report, show
        self._registry = CollectorRegistry()
        self._registry.register(_Numbers(report))
        self._server: WSGIServer = make_server(host, port, self._answer, handler_class=_Quiet)
        self.port = int(self._server.server_port)
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="status", daemon=True
        )

    def start(self) -> None:
        """Begins to answer."""
        self._thread.start()
        _log.info("status_served port=%d", self.port)

    def close(self) -> None:
        """Stops answering."""
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        status, kind, body = self._judged(environ)
        headers = [("Content-Type", kind), ("Content-Length", str(len(body))), *HEADERS]
        start(f"{status.value} {status.phrase}", headers)
        return [body] if environ.get("REQUEST_METHOD") != "HEAD" else []

    def _judged(self, environ: dict[str, Any]) -> tuple[HTTPStatus, str, bytes]:
        if environ.get("REQUEST_METHOD") not in ("GET", "HEAD"):
            return HTTPStatus.METHOD_NOT_ALLOWED, TEXT, b"this page only answers\n"
        if not is_own_name(environ.get("HTTP_HOST", "")):
            return HTTPStatus.FORBIDDEN, TEXT, b"ask for this box by its address or name\n"
        path = environ.get("PATH_INFO", "/")
        if path == "/" and self._show is not None:
            asked = environ.get("QUERY_STRING", "").removeprefix("lang=")
            accepted = environ.get("HTTP_ACCEPT_LANGUAGE", "")
            language = asked if asked in LANGUAGES else preferred(accepted)
            return HTTPStatus.OK, HTML, self._show(language)
        if path == STYLE_PATH:
            return HTTPStatus.OK, "text/css; charset=utf-8", style()
        return self._page(path)

    def _page(self, path: str) -> tuple[HTTPStatus, str, bytes]:
        if path == "/metrics":
            return HTTPStatus.OK, TEXT, generate_latest(self._registry)
        report = self._report()
        if path == "/healthz":
            faults = report["faults"]
            status = HTTPStatus.SERVICE_UNAVAILABLE if faults else HTTPStatus.OK
            return status, TEXT, ("\n".join(faults) or "ok").encode() + b"\n"
        if path == "/status.json":
            return HTTPStatus.OK, "application/json", json.dumps(report, indent=1).encode()
        known = b"known pages: / /healthz /metrics /status.json\n"
        return HTTPStatus.NOT_FOUND, TEXT, known
