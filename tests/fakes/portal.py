"""A portal over a read model of two organisations, with no chain machine behind it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from consortium.transaction import KIND_ACCEPT_LEG, KIND_CONSIGNMENT, KIND_HAND_OVER
from consortium.wire import Submitted
from ledger.entry import KIND_DESCRIPTOR, KIND_POSITION, KIND_TELEMETRY, GTime
from logistics.hand_over import HandOver
from logistics.reading import Descriptor, Position, Telemetry
from portal.access import Role, Viewer
from portal.accounts.pages import who_asks
from portal.app import MENU, TEMPLATE_ROOMS, make_portal
from portal.live_feed import LiveFeed
from portal.office.accounts import AccountDesk
from portal.parts import Parts
from portal.read.database import open_database, sqlite_url
from portal.read.follower import apply_items, make_tables
from portal.read.inputs import AcceptedTransaction, Item, OpenedRun, RawEntry
from portal.shell import make_shell

START_MS = 1_767_225_600_000
OURS, THEIRS = b"o" * 16, b"t" * 16
OUR_FEED, THEIR_FEED = b"f" * 16, b"g" * 16
SLOT, GPS = 1 << 16 | 1, 1 << 16 | 2


class FakeDoor:
    """Takes what is sent; `answer` is what comes back."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, Any, bytes]] = []
        self.submitted: list[bytes] = []
        self.answer = Submitted(tx_id=b"x" * 32, code=0, height=7, item_codes=(), text="")

    async def chain_part(self, keys: Sequence[bytes]) -> bytes:
        return b"".join(keys)[:8]

    async def party_id(self) -> bytes:
        return OURS

    async def submit(self, transaction: bytes) -> Submitted:
        self.submitted.append(transaction)
        return self.answer

    async def send(self, kind: int, body: list[object], *, nonce: bytes) -> Submitted:
        self.sent.append((kind, body, nonce))
        return self.answer


def accepted(*records: Sequence[Any], kind: int = 1, **more: Any) -> AcceptedTransaction:
    """A transaction that left these records in the chain's log."""
    fields: dict[str, Any] = {
        "sender_kind": 1, "sender": OURS, "kid": b"k" * 16, "body": [], "height": 5, "index": 0,
        "time_ms": START_MS, "tx_id": b"i" * 32, "data": b"",
    }  # fmt: skip  # the fields that seldom matter
    return AcceptedTransaction(kind=kind, records=tuple(records), **(fields | more))


def gtime(at_s: int) -> GTime:
    return GTime(1, at_s * 1_000_000, (START_MS + at_s * 1000) * 1000, 2, 5_000)


def entry(kind: int, slot: int, index: int, body: Any, *, at_s: int = 0) -> RawEntry:
    return RawEntry(index=index, kind=kind, slot=slot, time=gtime(at_s), srcseq=index, body=body)


def descriptor(device: str, quantity: str = "temperature", **more: Any) -> list[Any]:
    unit = "CEL" if quantity == "temperature" else None
    record = Descriptor(
        device_id=device, channel=quantity, quantity=quantity, unit=unit, driver="ds18b20", **more
    )
    return record.to_body()


def celsius(milli: int, **more: Any) -> list[Any]:
    return Telemetry(value=milli, exponent=-3, unit="CEL", **more).to_body()


def run(
    feed: bytes, height: int, entries: Sequence[RawEntry], *, audience: int = 1, epoch: int = 0
) -> OpenedRun:
    return OpenedRun(
        feed=feed, epoch=epoch, height=height, audience=audience, entries=tuple(entries)
    )


def readings_run(
    feed: bytes, device: str, values: Sequence[int], *, step_s: int = 60, first: int = 2
) -> OpenedRun:
    """A block with a sensor's descriptor and readings, thousandths of a degree, and a position."""
    rows = [entry(KIND_DESCRIPTOR, SLOT, 1, descriptor(device))]
    rows += [
        entry(KIND_TELEMETRY, SLOT, index, celsius(value), at_s=index * step_s)
        for index, value in enumerate(values, first)
    ]
    place = Position(lat_e7=599_000_000, lon_e7=107_000_000, fix=1).to_body()
    rows.append(entry(KIND_DESCRIPTOR, GPS, 9_000, descriptor(f"{device}-gps", "position")))
    rows.append(entry(KIND_POSITION, GPS, 9_001, place, at_s=120))
    return run(feed, 1, rows)


def two_organisations() -> list[Item]:
    """What the read model is fed with: two parties, a gateway each, readings of both."""
    return [
        accepted([1, OURS, "Cold Store Ltd", -8, b"key", 3]),
        accepted([1, THEIRS, "Rival Foods", -8, b"key2", 3]),
        accepted([2, OUR_FEED, OURS, -8, b"spki", 1, b"h" * 32, "cold-room"]),
        accepted([2, THEIR_FEED, THEIRS, -8, b"spki", 1, b"h" * 32, "rival-room"]),
        readings_run(OUR_FEED, "probe-1", [4_000, 4_100, 9_500]),
        readings_run(THEIR_FEED, "rival-probe", [1_000]),
    ]


CARRIER = b"c" * 16
CONSIGNMENT = b"\x01" * 16


def a_consignment(consignee: bytes = CARRIER) -> list[Item]:
    """A consignment of ours, 2 to 8 degrees, in one leg of a carrier who has not accepted it."""
    body = [1, CONSIGNMENT, 1, b"d" * 32, [2_000, 8_000], [[CARRIER, ["probe-1"]]], consignee]
    record = [KIND_CONSIGNMENT, CONSIGNMENT, 1, b"d" * 32, OURS]
    return [
        accepted([1, CARRIER, "Fjord Transport", -8, b"key3", 2]),
        accepted(record, kind=KIND_CONSIGNMENT, body=body, time_ms=START_MS),
    ]


def handed_over(giver: bytes, taker: bytes, at_s: int, *, number: int = 0) -> list[Item]:
    """The carrier accepts its leg, and takes the goods over."""
    document = HandOver(
        chain_id="wharf-test", consignment_id=CONSIGNMENT, number=number, giver=giver, taker=taker,
        signed_ms=START_MS + at_s * 1000, pieces=24, seals=("S1",),
    )  # fmt: skip  # one document
    return [
        accepted([KIND_ACCEPT_LEG, CONSIGNMENT, 1, 0, taker], kind=KIND_ACCEPT_LEG),
        accepted([KIND_HAND_OVER, document.digest, document.encode(), []], kind=KIND_HAND_OVER),
    ]


def feed_items(parts: Parts, items: Sequence[Item], first: int = 1) -> None:
    apply_items(parts.read, list(enumerate(items, first)))


def counting_bytes() -> Callable[[int], bytes]:
    """Bytes that repeat from run to run, and never within one."""
    numbers = itertools.count(1)
    return lambda size: next(numbers).to_bytes(4).rjust(size, b"\x5a")


def make_fake_parts(
    folder: Path, *, items: Sequence[Item] = (), clock_ms: Callable[[], int] = lambda: START_MS
) -> Parts:
    """Parts over SQLite files in a folder; the read model holds these items."""
    read = open_database(sqlite_url(folder / "read.sqlite"))
    office = open_database(sqlite_url(folder / "office.sqlite"))
    make_tables(read)
    random_bytes = counting_bytes()
    holder: list[Parts] = []
    parts = Parts(
        read=read,
        office=office,
        accounts=AccountDesk(office, clock_ms, random_bytes),
        shell=make_shell(TEMPLATE_ROOMS, menu=MENU, trouble=lambda: None),
        live=LiveFeed(),
        door=FakeDoor(),
        clock_ms=clock_ms,
        random_bytes=random_bytes,
        who=lambda request: who_asks(holder[0], request),
        trouble=lambda: None,
        files=folder / "files",
        secure=False,
        address="http://testserver",
    )
    holder.append(parts)
    feed_items(parts, items)
    return parts


def visitor(parts: Parts) -> TestClient:
    """A browser that is not signed in."""
    client = TestClient(make_portal(parts), raise_server_exceptions=False, follow_redirects=False)
    client.headers["accept"] = "text/html"
    return client


def sign_in(
    parts: Parts, organisation: bytes = OURS, *roles: Role, name: str = "Li Na"
) -> tuple[TestClient, Viewer]:
    """A signed-in browser and who it is; its requests carry the form token."""
    person = parts.accounts.add_person(organisation.hex(), name, roles or [Role.ADMIN])
    opened = parts.accounts.open_session(person.id)
    assert opened is not None
    client = visitor(parts)
    client.cookies["wharf_session"] = opened.secret
    viewer = parts.accounts.viewer_of_session(opened.secret)
    assert viewer is not None
    client.headers["x-csrf"] = viewer.csrf
    return client, viewer
