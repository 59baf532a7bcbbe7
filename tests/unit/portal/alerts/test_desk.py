"""Alerts over a read model: found, taken on, and told to a real mail server and webhook."""

import hashlib
import hmac
import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from portal.access import Role
from portal.alerts.delivery import Deliverer, MailServer
from portal.alerts.pages import desk_of
from portal.errors import FieldError, MissingError
from tests.fakes.portal import (
    OUR_FEED,
    SLOT,
    START_MS,
    THEIRS,
    make_fake_parts,
    sign_in,
    two_organisations,
)

MINUTE = 60_000


class Clock:
    def __init__(self) -> None:
        self.ms = START_MS + 3 * MINUTE

    def __call__(self) -> int:
        return self.ms


class Hook(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.seen.append((self.headers["wharf-signature"], body))  # type: ignore[attr-defined]  # the test's own
        self.send_response(self.server.status)  # type: ignore[attr-defined]  # the test's own
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def webhook(status: int = 204) -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    server = HTTPServer(("127.0.0.1", 0), Hook)
    server.seen, server.status = [], status  # type: ignore[attr-defined]  # the test's own
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/x", server.seen  # type: ignore[attr-defined]  # the test's own
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Mailbox(socketserver.StreamRequestHandler):
    """As much of RFC 5321 as one message needs."""

    def handle(self) -> None:
        self.wfile.write(b"220 hello\r\n")
        for line in self.rfile:
            word = line[:4].upper()
            if word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                while (text := self.rfile.readline()) != b".\r\n":
                    self.server.seen.append(text)  # type: ignore[attr-defined]  # the test's own
            self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")
            if word == b"QUIT":
                return


@contextmanager
def mailbox() -> Iterator[tuple[int, list[bytes]]]:
    with socketserver.TCPServer(("127.0.0.1", 0), Mailbox) as server:
        server.seen = []  # type: ignore[attr-defined]  # the test's own
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_address[1], server.seen  # type: ignore[attr-defined]  # the test's own
        finally:
            server.shutdown()
            thread.join()


def test_a_silent_gateway_is_told_taken_on_and_over_and_a_stranger_sees_nothing(
    tmp_path: Path,
) -> None:
    clock = Clock()
    parts = make_fake_parts(tmp_path, items=two_organisations(), clock_ms=clock)
    desk, (_, viewer) = desk_of(parts), sign_in(parts)
    _, stranger = sign_in(parts, THEIRS, Role.ADMIN, name="Mallory")
    desk.watch(
        viewer,
        {"feed": OUR_FEED.hex(), "slot": SLOT, "low_milli": 2_000, "high_milli": 8_000,
         "for_s": 0, "severity": 2},
    )  # fmt: skip  # one row
    desk.look()
    assert ["limit"] == [alert["kind"] for alert in desk.alerts(viewer)]
    assert [] == desk.alerts(stranger)
    (alert,) = desk.alerts(viewer)
    with pytest.raises(MissingError):
        desk.acknowledge(stranger, alert["id"], "mine now")
    with pytest.raises(FieldError):
        desk.acknowledge(viewer, alert["id"], "  ")
    desk.acknowledge(viewer, alert["id"], "door was open")
    with pytest.raises(MissingError):
        desk.acknowledge(viewer, alert["id"], "again")
    assert 0 == desk.open_count(viewer)
    clock.ms += 10 * MINUTE
    desk.look()
    desk.look()
    kinds = sorted(item["kind"] for item in desk.alerts(viewer) if not item["ended_ms"])
    assert ["gateway_silent", "limit"] == kinds
    clock.ms += 15 * MINUTE
    assert ["gateway_silent"] == [
        item.kind for item in desk.look().escalated if item.organisation == viewer.organisation
    ]


def test_mail_and_signed_webhooks_arrive_and_what_failed_is_tried_again_later(
    tmp_path: Path,
) -> None:
    clock = Clock()
    clock.ms += 60 * MINUTE
    parts = make_fake_parts(tmp_path, items=two_organisations(), clock_ms=clock)
    desk, (_, viewer) = desk_of(parts), sign_in(parts)
    with mailbox() as (port, letters), webhook() as (address, calls):
        values = {"mail_to": "dock@example.com", "webhook_to": address, "webhook_secret": "s3"}
        desk.set(viewer, values)
        desk.look()
        mail = MailServer(host="127.0.0.1", port=port, sender="w@example.com")
        assert 1 == Deliverer(parts.office, clock, None).send_due()  # no mail server: it waits
        assert 0 == Deliverer(parts.office, clock, mail).send_due()
        clock.ms += 10_000
        assert 1 == Deliverer(parts.office, clock, mail).send_due()
        assert 0 == Deliverer(parts.office, clock, mail).send_due()
    ((signed, body),) = calls
    at, _, proof = signed.partition(",v1=")
    expected = hmac.new(b"s3", at.removeprefix("t=").encode() + b"." + body, hashlib.sha256)
    assert expected.hexdigest() == proof
    assert ("gateway_silent", "opened") == (json.loads(body)["kind"], json.loads(body)["event"])
    assert any(b"cold-room" in line for line in letters)


def test_a_webhook_that_refuses_is_asked_again_and_given_up_after_a_day(tmp_path: Path) -> None:
    clock = Clock()
    clock.ms += 60 * MINUTE
    parts = make_fake_parts(tmp_path, items=two_organisations(), clock_ms=clock)
    desk, (_, viewer) = desk_of(parts), sign_in(parts)
    with webhook(status=500) as (address, calls):
        desk.set(viewer, {"webhook_to": address, "webhook_secret": "s3"})
        desk.look()
        deliverer = Deliverer(parts.office, clock, None)
        for _ in range(3):
            assert 0 == deliverer.send_due()
            clock.ms += 60 * MINUTE
        assert 3 == len(calls)
        clock.ms += 25 * 60 * MINUTE
        deliverer.send_due()
        clock.ms += 60 * MINUTE
        deliverer.send_due()
        assert 4 == len(calls)
