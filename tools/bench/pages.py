"""Pages in Chromium and over HTTP: a month of fifty sensors, a live reading, 200 browsers."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from consortium.transaction import KIND_CONSIGNMENT
from ledger.entry import KIND_DESCRIPTOR, KIND_TELEMETRY
from portal.access import Role
from portal.read.inputs import Item, OpenedRun
from tests.fakes.portal import (
    CARRIER,
    OUR_FEED,
    OURS,
    START_MS,
    accepted,
    celsius,
    descriptor,
    entry,
    run,
    two_organisations,
)
from tests.fakes.served import Served, served
from tools.bench.figure import Figure, at_most
from tools.bench.session import BenchError, Session

SENSORS, MINUTES = 50, 31 * 1440
BLOCK_MINUTES = 6 * 60
WATCHERS = 200
CONSIGNMENTS = 10_000
CHROMIUM = "/usr/bin/chromium"
AUDIENCE = 1 << 16
MONTH_MS = MINUTES * 60_000


def month() -> Iterator[Item]:
    """Fifty sensors of one gateway, a reading a minute each."""
    yield from two_organisations()[:4]
    names = [
        entry(
            KIND_DESCRIPTOR,
            AUDIENCE | slot,
            slot,
            descriptor(f"probe-{slot:02}", interval_ms=60_000),
        )
        for slot in range(1, SENSORS + 1)
    ]
    yield run(OUR_FEED, 0, names)
    yield from consignments()
    for height, first in enumerate(range(0, MINUTES, BLOCK_MINUTES), 1):
        yield block(height, range(first, min(first + BLOCK_MINUTES, MINUTES)))


def consignments() -> Iterator[Item]:
    """Ten thousand consignments under way, each of a device that nothing else names."""
    for number in range(CONSIGNMENTS):
        id_ = number.to_bytes(16)
        leg = [CARRIER, [f"far-probe-{number}"]]
        body = [1, id_, 1, b"d" * 32, [2_000, 8_000], [leg], CARRIER]
        record = [KIND_CONSIGNMENT, id_, 1, b"d" * 32, OURS]
        yield accepted(record, kind=KIND_CONSIGNMENT, body=body)


def block(height: int, minutes: range) -> OpenedRun:
    """A block of all sensors' readings in these minutes."""
    rows = [
        entry(
            KIND_TELEMETRY,
            AUDIENCE | slot,
            1_000 + minute * SENSORS + slot,
            celsius(4_000 + (minute * 7 + slot * 131) % 2_900),
            at_s=minute * 60,
        )
        for minute in minutes
        for slot in range(1, SENSORS + 1)
    ]
    return run(OUR_FEED, height, rows)


@contextmanager
def chromium(site: Served) -> Iterator[Page]:
    """A signed-in page. Raises BenchError without Chromium."""
    if not Path(CHROMIUM).exists():
        raise BenchError("chromium is missing: apt-get install chromium")
    person = site.parts.accounts.add_person(OURS.hex(), "bench", [Role.ADMIN])
    with sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(f"{site.address}/enrol?code={site.parts.accounts.new_code(person.id)}")
        page.get_by_role("button").last.click()
        page.wait_for_url("**/warehouse")
        yield page
        browser.close()


def drawn_ms(page: Page, site: Served, *, from_ms: int, to_ms: int) -> float:
    """From the click on a link to a chart that is drawn, as the browser's own clock has it."""
    page.goto(f"{site.address}/sensors")
    address = f"/sensors/all?from={from_ms}&to={to_ms}"
    page.evaluate("a => { document.querySelector('main a').href = a; }", address)
    begun = time.perf_counter()
    page.locator("main a").first.click()
    page.wait_for_selector("[data-drawn]")
    return (time.perf_counter() - begun) * 1000


def live_ms(page: Page, site: Served, minute: int) -> float:
    """From a followed block to a page that is drawn anew."""
    page.goto(f"{site.address}/sensors/{OUR_FEED.hex()}/probe-01")
    page.wait_for_selector("[data-drawn]")
    page.wait_for_selector("#live.live")
    old = page.locator("[data-drawn]").get_attribute("data-drawn")
    begun = time.perf_counter()
    site.happen(block(minute, range(minute, minute + 1)))
    changed = "old => document.querySelector('[data-drawn]').dataset.drawn !== old"
    page.wait_for_function(changed, arg=old, polling=5)
    return (time.perf_counter() - begun) * 1000


async def _watch(site: Served, cookie: str, told: asyncio.Queue[float]) -> None:
    port = int(site.address.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"GET /events HTTP/1.1\r\nHost: localhost:{port}\r\nCookie: wharf_session={cookie}"
    writer.write(f"{head}\r\n\r\n".encode())
    try:
        async for line in reader:
            if line.startswith(b"data:"):
                told.put_nowait(time.perf_counter())
    finally:
        writer.close()


async def watched(site: Served, repeats: int) -> tuple[list[float], float]:
    """(ms until the last of all watchers was told, each time; MB that they and we took more)."""
    person = site.parts.accounts.add_person(OURS.hex(), "watcher", [Role.ADMIN])
    opened = site.parts.accounts.open_session(person.id)
    if opened is None:
        raise BenchError("the session did not open")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    told: asyncio.Queue[float] = asyncio.Queue()
    tasks = [asyncio.create_task(_watch(site, opened.secret, told)) for _ in range(WATCHERS)]
    for _ in tasks:
        await asyncio.wait_for(told.get(), 60)
    lags = []
    for number in range(repeats):
        begun = time.perf_counter()
        await asyncio.to_thread(site.happen, block(50_000 + number, range(MINUTES, MINUTES + 1)))
        seen = [await asyncio.wait_for(told.get(), 60) for _ in tasks]
        lags.append((max(seen) - begun) * 1000)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return lags, grown / 1024


def page_ms(site: Served, page: Page, path: str) -> float:
    """Time of one page over HTTP, as the browser's session."""
    begun = time.perf_counter()
    answer = page.request.get(site.address + path)
    if not answer.ok:
        raise BenchError(f"{path}: {answer.status}")
    return (time.perf_counter() - begun) * 1000


def measure(session: Session) -> list[Figure]:
    """The part's figures."""
    items, end = list(month()), START_MS + MONTH_MS
    with served(session.fresh_folder("pages"), items, now_ms=end) as site:
        del items
        with chromium(site) as page:
            drawn, empty, live, bare = [], [], [], []
            first, risk = [], []
            page_ms(site, page, "/consignments")  # templates are compiled once
            for number in range(session.repeats):
                drawn.append(drawn_ms(page, site, from_ms=START_MS, to_ms=end))
                empty.append(drawn_ms(page, site, from_ms=end + MONTH_MS, to_ms=end + 2 * MONTH_MS))
                live.append(live_ms(page, site, MINUTES + 10 + number))
                first.append(page_ms(site, page, "/warehouse"))
                risk.append(page_ms(site, page, "/consignments"))
                bare.append(page_ms(site, page, "/healthz"))
        lags, grown = asyncio.run(watched(site, session.repeats))
    watchers = f"{WATCHERS} watching browsers: a change told to the last"
    memory = f"server and clients took {grown:.0f} MB more"
    return [
        Figure(name="a month of 50 sensors drawn from the click", unit="ms", ours=tuple(drawn),
               peer="the page with nothing to draw", theirs=tuple(empty), goal=at_most(1000)),
        Figure(name="a followed reading drawn anew", unit="ms", ours=tuple(live),
               peer="a page over HTTP", theirs=tuple(first), goal=at_most(2000)),
        Figure(name="the warehouse's first page", unit="ms", ours=tuple(first),
               peer="an empty answer", theirs=tuple(bare), goal=at_most(100)),
        Figure(name="the manager's first page at 10,000 consignments", unit="ms", ours=tuple(risk),
               peer="an empty answer", theirs=tuple(bare), goal=at_most(100)),
        Figure(name=watchers, unit="ms", ours=tuple(lags), peer="an empty answer",
               theirs=tuple(bare), goal=at_most(2000), note=memory),
    ]  # fmt: skip  # one figure each
