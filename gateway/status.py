"""Status on loopback: /healthz for a watchdog, /metrics for Prometheus, /status.json for people
and tools.
"""

import json
import logging
import threading
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
_log = logging.getLogger(__name__)

Report = Callable[[], dict[str, Any]]


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
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class names it so
        """Requests of a watchdog every few seconds are no events."""


class StatusServer:
    """Serves a report until closed. `report` must be safe to call from another thread."""

    def __init__(self, host: str, port: int, report: Report) -> None:
        self._report = report
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
        status, kind, body = self._page(environ.get("PATH_INFO", "/"))
        headers = [("Content-Type", kind), ("Content-Length", str(len(body)))]
        start(f"{status.value} {status.phrase}", headers)
        return [body]

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
        known = b"known pages: /healthz /metrics /status.json\n"
        return HTTPStatus.NOT_FOUND, TEXT, known
