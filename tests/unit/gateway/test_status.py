import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.status import StatusServer

REPORT: dict[str, Any] = {
    "gateway": "cold-room",
    "faults": [],
    "journaled": 42,
    "connected": True,
    "store_full_share": 0.25,
    "channels": [{"device": "probe", "channel": 'a "b"\n', "readings": 7}],
}


@pytest.fixture(scope="module")
def server() -> Iterator[StatusServer]:
    made = StatusServer("127.0.0.1", 0, lambda: REPORT)
    made.start()
    yield made
    made.close()


def get(server: StatusServer, path: str) -> tuple[int, str, str]:
    """Status, content type and text of a page."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=5) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["Content-Type"], error.read().decode()


def test_a_gateway_without_faults_is_healthy(server: StatusServer) -> None:
    assert (200, "ok\n") == (get(server, "/healthz")[0], get(server, "/healthz")[2])


def test_each_fault_is_a_line_and_the_watchdog_sees_503(
    server: StatusServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(REPORT, "faults", ["disk full", "signing stopped: wrong PIN"])
    code, _, text = get(server, "/healthz")
    assert (503, "disk full\nsigning stopped: wrong PIN\n") == (code, text)


def test_prometheus_reads_every_number_of_the_report(server: StatusServer) -> None:
    code, kind, text = get(server, "/metrics")
    assert (200, True) == (code, kind.startswith("text/plain"))
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert {
        ("wharf_gateway_journaled",): 42.0,
        ("wharf_gateway_connected",): 1.0,
        ("wharf_gateway_store_full_share",): 0.25,
        ("wharf_gateway_channel_readings", ("channel", 'a "b"\n'), ("device", "probe")): 7.0,
    } == samples


def test_tools_read_the_whole_report(server: StatusServer) -> None:
    code, kind, text = get(server, "/status.json")
    assert (200, "application/json", REPORT) == (code, kind, json.loads(text))


def test_an_unknown_page_names_those_that_there_are(server: StatusServer) -> None:
    code, _, text = get(server, "/")
    assert 404 == code
    assert "/healthz /metrics /status.json" in text
