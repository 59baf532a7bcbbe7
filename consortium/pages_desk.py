"""The door for pages: a socket of their own, with what pages need and nothing of the operator's.

Whoever may open it reads all that this machine may open, and sends in its party's name what an
organisation's people do every day; it admits and revokes nobody.
"""

import asyncio
from contextlib import suppress
from typing import Any, Final

from consortium.anchorer import PartyIdentity
from consortium.errors import MalformedError
from consortium.followed import FollowedItems
from consortium.node import ChainNode
from consortium.server import Method
from consortium.transaction import NONCE_BYTES, SENDER_PARTY, Sender, fields

ITEMS_MAX: Final = 500
WAIT_MS_MAX: Final = 20_000
TRANSACTIONS_AT_ONCE: Final = 200
LOOK_S: Final = 0.1
# Everyday business: consignments, hand-overs, contracts, deposits, trade items.
BUSINESS_KINDS: Final = range(20, 100)


class PagesDesk:
    """Answers a portal's questions, and keeps the order of what there is to follow."""

    def __init__(self, items: FollowedItems, node: ChainNode, party: PartyIdentity) -> None:
        self._items, self._node, self._party = items, node, party
        self._more = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        items.on_add(self._note)

    def _note(self) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._more.set()  # wakes all who wait now; who comes later waits anew
        self._more = asyncio.Event()

    def methods(self) -> dict[str, Method]:
        """Names and calls, for the pages' socket."""
        return {
            "Follow": self.follow,
            "Status": self.status,
            "Submit": self.submit,
            "Send": self.send,
            "Party": self.party,
            "ChainPart": self.chain_part,
        }

    async def keep_order(self) -> None:
        """Until cancelled: gives each accepted transaction its place among what was opened."""
        while True:
            first = self._items.transactions()
            rows = await self._node.accepted(first, TRANSACTIONS_AT_ONCE)
            await asyncio.to_thread(self._items.add_transactions, first, rows)
            if not rows:
                await asyncio.sleep(LOOK_S)

    async def follow(self, request: list[Any]) -> object:
        """[after, limit, wait-ms] -> [newest, [* [number, item]]]; waits while there is nothing."""
        after, limit, wait_ms = fields(request, int, int, int)
        if not (after >= 0 and 0 < limit <= ITEMS_MAX and 0 <= wait_ms <= WAIT_MS_MAX):
            raise MalformedError(f"after, limit (to {ITEMS_MAX}) or wait-ms out of range")
        more = self._more
        found = await asyncio.to_thread(self._items.after, after, limit)
        if not found and wait_ms:
            with suppress(TimeoutError):  # nothing new: an empty answer says so
                await asyncio.wait_for(more.wait(), wait_ms / 1000)
            found = await asyncio.to_thread(self._items.after, after, limit)
        return [self._items.newest(), [list(item) for item in found]]

    async def status(self, request: list[Any]) -> object:
        """[] -> the chain's status (`consortium.wire.ChainStatus`)."""
        fields(request)
        return self._node.status().to_value()

    async def party(self, request: list[Any]) -> object:
        """[] -> id of the organisation in whose name `Send` signs."""
        fields(request)
        return self._party.party_id

    async def chain_part(self, request: list[Any]) -> object:
        """[keys] -> a chain part with these map keys, for a visitor's browser to check."""
        (keys,) = fields(request, list)
        return await self._node.chain_part([], keys)

    async def submit(self, request: list[Any]) -> object:
        """[transaction] -> its fate; it is signed already, by whoever sent it to the page."""
        (data,) = fields(request, bytes)
        return (await self._node.submit(data)).to_value()

    async def send(self, request: list[Any]) -> object:
        """[kind, body, nonce] -> the fate of that transaction, signed with this machine's party
        key. The caller keeps the nonce and sends the same again until it is answered.
        """
        kind, body, nonce = fields(request, int, list, bytes)
        if kind not in BUSINESS_KINDS or len(nonce) != NONCE_BYTES:
            raise MalformedError(f"kind {kind} is not for pages, or the nonce is not 16 bytes")
        sender = Sender(SENDER_PARTY, self._party.party_id)
        answer = await self._node.submit_signed(
            self._party.signer, kind=kind, sender=sender, body=body, nonce=nonce
        )
        return answer.to_value()
