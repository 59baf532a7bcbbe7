"""Tells the world: mail by SMTP, and webhooks signed so that their receiver can check the sender.

    wharf-signature: t=<ms since 1970>,v1=<hex HMAC-SHA-256 over "<t>." and the body's bytes>

A message is kept until it was taken, tried again later and later, and given up after a day.
"""

import hashlib
import hmac
import json
import logging
import smtplib
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any, Final
from urllib.parse import urlsplit

from sqlalchemy import Engine, Row, select, update

from portal.alerts.desk import setting
from portal.errors import FieldError
from portal.office.tables import DELIVERIES
from portal.read.tables import writing
from portal.words import word

log = logging.getLogger(__name__)
TIMEOUT_S: Final = 10.0
FIRST_WAIT_MS: Final = 5_000
WAIT_MS_MAX: Final = 900_000
GIVE_UP_MS: Final = 86_400_000
AT_ONCE: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """Where mail is handed in, and from whom it comes."""

    host: str
    port: int
    sender: str


def signature(secret: str, at_ms: int, body: bytes) -> str:
    """The header's value for a body sent at a moment."""
    signed = f"{at_ms}.".encode() + body
    return f"t={at_ms},v1={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"


def webhook_address(text: str) -> str:
    """An address that a webhook may go to: HTTPS, or HTTP on this machine; raises FieldError."""
    parts = urlsplit(text.strip())
    is_local = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")
    if not text.strip() or ((parts.scheme == "https" or is_local) and parts.hostname):
        return text.strip()
    raise FieldError("webhook_to", "alerts.webhook_wrong")


class Deliverer:
    """Sends what is due. `mail`: None where no server is set; then mail waits."""

    def __init__(
        self, office: Engine, clock_ms: Callable[[], int], mail: MailServer | None
    ) -> None:
        self._office, self._clock_ms, self._mail = office, clock_ms, mail

    def send_due(self) -> int:
        """Tries what is due once; how many were taken."""
        now, of = self._clock_ms(), DELIVERIES.c
        query = (
            select(DELIVERIES)
            .where(of.done_ms.is_(None), of.due_ms <= now)
            .order_by(of.since_ms, of.id)
            .limit(AT_ONCE)
        )
        with self._office.connect() as office:
            rows = list(office.execute(query))
        return sum(self._try(row, now) for row in rows)

    def _try(self, row: Row[Any], now: int) -> bool:
        try:
            self._send(row, now)
        except (OSError, smtplib.SMTPException, ValueError) as error:
            wait_ms = min(WAIT_MS_MAX, FIRST_WAIT_MS << row.tries)
            values: dict[str, Any] = {"due_ms": now + wait_ms, "trouble": str(error)[:200]}
            if now - row.since_ms > GIVE_UP_MS:
                values["done_ms"] = now
            log.warning("delivery_failed way=%s tries=%d", row.way, row.tries + 1)
            taken = False
        else:
            values, taken = {"done_ms": now, "trouble": None}, True
        with writing(self._office) as office:
            mine = DELIVERIES.c.id == row.id
            office.execute(update(DELIVERIES).where(mine).values(tries=row.tries + 1, **values))
        return taken

    def _send(self, row: Row[Any], now: int) -> None:
        with self._office.connect() as office:
            to = setting(office, row.organisation, f"{row.way}_to")
            secret = setting(office, row.organisation, "webhook_secret")
            language = setting(office, row.organisation, "language") or "en"
        if row.way == "webhook":
            _post(webhook_address(to), secret, now, body=row.content.encode())
        elif self._mail is None:
            raise OSError("no mail server is set: --smtp")
        else:
            _mail(self._mail, to, json.loads(row.content), language=language)


def _post(address: str, secret: str, now: int, *, body: bytes) -> None:
    headers = {
        "content-type": "application/json",
        "wharf-signature": signature(secret, now, body),
    }
    request = urllib.request.Request(address, data=body, headers=headers, method="POST")  # noqa: S310  # https, or this machine
    opener = urllib.request.build_opener(_NoRedirect)
    with opener.open(request, timeout=TIMEOUT_S) as answer:
        answer.read(1024)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """What is signed for one address goes to no other."""

    def redirect_request(self, *args: Any, **more: Any) -> None:
        """Follows nothing."""


def _mail(server: MailServer, to: str, content: dict[str, Any], *, language: str) -> None:
    about = content["about"]
    what = word(language, f"alerts.kind_{content['kind']}")
    name = about.get("device") or about.get("gateway", "")
    event = word(language, f"alerts.event_{content['event']}")
    message = EmailMessage()
    message["Subject"] = f"[{event}] {name}: {what}"
    message["From"], message["To"] = server.sender, to
    message["Message-ID"] = f"<{content['id']}.{content['event']}@wharfinger.invalid>"
    message.set_content(f"{name}: {what}\n{event}\n\n{json.dumps(content, ensure_ascii=False)}\n")
    with smtplib.SMTP(server.host, server.port, timeout=TIMEOUT_S) as door:
        door.send_message(message)
