import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.page import HEADERS
from gateway.status import StatusServer, is_own_name

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
    made = StatusServer("127.0.0.1", 0, lambda: REPORT, lambda language: f"in {language}".encode())
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
    code, _, text = get(server, "/nothing")
    assert 404 == code
    assert "/healthz /metrics /status.json" in text


def ask(server: StatusServer, path: str = "/", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of a request; a method may be among the headers."""
    method = headers.pop("method", "GET")
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(  # our own server
        f"http://127.0.0.1:{server.port}{path}", method=method, headers=named
    )
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read()


def test_the_page_speaks_the_language_that_is_asked_for(server: StatusServer) -> None:
    assert b"in zh" == ask(server, "/?lang=zh")[2]
    assert b"in zh" == ask(server, Accept_Language="zh-CN,zh;q=0.9,en;q=0.8")[2]
    assert b"in en" == ask(server, Accept_Language="fr")[2]
    assert b"in en" == ask(server, "/?lang=<script>")[2]
    assert b"in en" == ask(server, "/?lang=en", Accept_Language="zh")[2]


@pytest.mark.parametrize("path", ["/", "/health.css", "/status.json", "/metrics", "/nothing"])
def test_every_answer_forbids_the_browser_all_that_the_page_does_not_need(
    server: StatusServer, path: str
) -> None:
    headers = ask(server, path)[1]
    assert dict(HEADERS).items() <= headers.items()
    assert "default-src 'none'" in headers["Content-Security-Policy"]


def test_the_style_comes_from_the_box_itself(server: StatusServer) -> None:
    code, headers, body = ask(server, "/health.css")
    assert (200, "text/css; charset=utf-8") == (code, headers["Content-Type"])
    assert b"http" not in body
    assert b"url(" not in body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_can_be_changed_through_it(server: StatusServer, method: str) -> None:
    assert 405 == ask(server, method=method)[0]


def test_a_head_request_gets_no_body(server: StatusServer) -> None:
    code, headers, body = ask(server, method="HEAD")
    assert (200, b"", "5") == (code, body, headers["Content-Length"])


def test_a_page_from_elsewhere_under_a_turned_name_is_told_nothing(server: StatusServer) -> None:
    code, _, body = ask(server, "/status.json", Host="evil.example")
    assert (403, False) == (code, b"cold-room" in body)


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("127.0.0.1:8377", True), ("192.168.1.7", True), ("[::1]:8377", True), ("[fe80::1]", True),
        ("localhost:8377", True), ("cold-room.local", True), ("Cold-Room.LAN:80", True),
        ("box.home.arpa.", True), ("evil.example", False), ("127.0.0.1.evil.example:8377", False),
        ("evil.example:127", False), ("", False), ("local", False), ("a" * 300 + ".local", False),
    ],
)  # fmt: skip
def test_only_an_address_or_a_name_of_the_site_is_this_box(host: str, own: bool) -> None:
    assert own == is_own_name(host)
