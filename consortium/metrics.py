"""The chain machine's numbers for Prometheus, on an address of the operator's choice."""

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from prometheus_client import start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector, CollectorRegistry

from consortium.errors import ConfigError

logger = logging.getLogger(__name__)

HELP: Final[Mapping[str, str]] = {
    "height": "newest chain block under a signed header",
    "time_ms": "its time, ms since 1970",
    "log_size": "records on the chain",
    "waiting": "transactions that wait for a block",
    "gateways": "enrolled gateways",
    "lag_blocks": "blocks that the application is behind the highest node it sees",
    "peers": "connected nodes of other organisations",
    "votes_missing": "validators that did not vote for the newest block",
    "app_hash_agrees": "1 while the others signed the state that this machine has",
    "misbehaviour": "acts of validators against the protocol, as evidence in blocks shows",
    "node_answers": "1 while the CometBFT node answers",
    "peers_admitted": "gossip streams of peers that proved who they are, since the start",
    "peers_refused": "gossip streams refused: unknown, expired, revoked, unproven, kept out",
    "peers_cut_off": "peers cut off for sending what no honest peer sends",
    "peers_displaced": "gossip streams ended to make room for others",
}

Numbers = Callable[[], Mapping[str, int]]


class _Gauges(Collector):
    def __init__(self, numbers: Numbers) -> None:
        self._numbers = numbers

    def collect(self) -> Iterable[GaugeMetricFamily]:
        for name, value in self._numbers().items():
            yield GaugeMetricFamily(f"wharf_chain_{name}", HELP[name], value=value)


def serve_metrics(address: str, numbers: Numbers) -> Callable[[], None]:
    """Serves until the returned function is called; `numbers` is asked from another thread.

    Raises ConfigError where the address cannot be used.
    """
    host, _, port = address.rpartition(":")
    registry = CollectorRegistry()
    registry.register(_Gauges(numbers))
    try:
        server, thread = start_http_server(int(port), host, registry)
    except (OSError, ValueError) as error:
        raise ConfigError(f"[server] metrics = {address!r}: {error}") from error
    logger.info("metrics_served address=%s", address)

    def close() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return close
