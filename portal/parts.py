"""What a room of the portal gets: the concretes that `compose.py` put together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fastapi import Request
from sqlalchemy import Engine

from consortium.wire import Submitted
from portal.access import Viewer
from portal.live_feed import LiveFeed
from portal.office.accounts import AccountDesk
from portal.shell import Shell


class ChainDoor(Protocol):
    """Sends to the chain (`consortium.client.PagesClient`)."""

    async def submit(self, transaction: bytes) -> Submitted:
        """Fate of a transaction that somebody signed; raises ConsortiumError subclasses."""

    async def party_id(self) -> bytes:
        """The organisation in whose name `send` signs; raises ConsortiumError subclasses."""

    async def chain_part(self, keys: Sequence[bytes]) -> bytes:
        """A chain part that proves these map keys; raises ConsortiumError subclasses."""

    async def send(self, kind: int, body: list[object], *, nonce: bytes) -> Submitted:
        """Fate of one signed with the machine's party key; the same nonce when sent again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The portal's parts. read: the read model; office: what the portal itself holds (accounts,
    acknowledgements). clock_ms: UTC since 1970. who: the viewer of a request. trouble: why the read
    model is behind, None while it is not. files: a folder for photos and the like. authority: the
    certificate that phones install, where it is our own.
    """

    read: Engine
    office: Engine
    accounts: AccountDesk
    shell: Shell
    live: LiveFeed
    door: ChainDoor
    clock_ms: Callable[[], int]
    random_bytes: Callable[[int], bytes]
    who: Callable[[Request], Viewer | None]
    trouble: Callable[[], str | None]
    files: Path
    secure: bool
    address: str
    authority: Path | None = None
