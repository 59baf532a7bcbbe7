"""Feeds that came in a file: the operator hands over its messages, and they are taken by the rules
of gossip.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from consortium.errors import MalformedError
from consortium.transaction import fields
from ledger.errors import LedgerError
from ledger.gossip import FeedReceiver

SESSION_BYTES: Final = 16
SESSIONS_MAX: Final = 4
MESSAGES_MAX: Final = 1024


class DeliveryDesk:
    """Who delivers now; the oldest makes room."""

    def __init__(self, receiver: Callable[[], FeedReceiver]) -> None:
        self._receiver = receiver
        self._under_way: dict[bytes, FeedReceiver] = {}

    async def deliver(self, request: list[Any]) -> object:
        """[session, [message, ...]] -> [answer, ...]; raises MalformedError for what is refused."""
        session, messages = fields(request, bytes, list)
        wrong = any(type(item) is not bytes for item in messages)
        if len(session) != SESSION_BYTES or len(messages) > MESSAGES_MAX or wrong:
            raise MalformedError("a session of 16 bytes, and at most 1,024 messages")
        if session not in self._under_way:
            while len(self._under_way) >= SESSIONS_MAX:
                del self._under_way[next(iter(self._under_way))]
            self._under_way[session] = self._receiver()
        return await asyncio.to_thread(self._take, session, messages)

    def _take(self, session: bytes, messages: list[bytes]) -> list[bytes]:
        answers: list[bytes] = []
        try:
            for message in messages:
                answers += self._under_way[session].receive(message)
        except LedgerError as error:
            self._under_way.pop(session, None)
            raise MalformedError(f"refused: {error}") from error
        return answers
