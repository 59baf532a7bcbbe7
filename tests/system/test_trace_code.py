"""A trace code's whole way: claimed on a real chain, printed, scanned, opened by a real browser
without and with JavaScript, which checks it against the chain by itself.
"""

import asyncio
import json
import os
import re
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import zxingcpp
from playwright.sync_api import Browser, expect, sync_playwright

from consortium.client import PagesClient
from consortium.config import PAGES_SOCKET_NAME
from consortium.transaction import KIND_BRAND, KIND_RECALL, KIND_THINGS
from logistics.trace.item_key import ItemKey, lot, new_serial, sgtin, sscc
from portal.access import Role, Viewer
from portal.compose import PortalConfig, make_accounts, open_engines
from tests.fakes.chain_process import WHARF, ChainProcess
from tests.fakes.epcis import document

GTIN, PREFIX = "10614141073464", "0614141"
LOT = lot(GTIN, "L1")
ITEMS = 200
ITEMS_IN_CASE = 10
CASES_ON_PALLET = 5
WAIT_S = 60


def unit(number: int) -> ItemKey:
    digits = f"0{PREFIX}{number:09}"
    total = sum(int(d) * (3 if at % 2 == 0 else 1) for at, d in enumerate(digits[::-1]))
    return sscc(digits + str(-total % 10))


@dataclass
class Play:
    """What runs: a chain machine, a portal, two hundred items in cases on pallets."""

    address: str
    token: str
    node: Path
    items: list[ItemKey]

    def call(self, path: str, body: Any = None, **headers: str) -> Any:
        """The answer of a request with the organisation's token."""
        headers = {"authorization": f"Bearer {self.token}", **headers}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data, headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.headers, answer.read()

    def chain(self, kind: int, *body: object) -> None:
        """Sends in the organisation's name; the chain must take it."""

        async def send() -> int:
            async with PagesClient(self.node / PAGES_SOCKET_NAME) as door:
                return (await door.send(kind, [1, *body], nonce=os.urandom(16))).code

        # The browser's driver has an event loop of its own on this thread.
        with ThreadPoolExecutor(1) as thread:
            assert 0 == thread.submit(asyncio.run, send()).result(30)


def journey(items: list[ItemKey]) -> Iterator[dict[str, Any]]:
    """Made, packed in cases, on pallets, cooled on the way."""
    moment = {"eventTimeZoneOffset": "+00:00"}
    yield moment | {
        "type": "ObjectEvent", "action": "ADD", "bizStep": "commissioning",
        "eventTime": "2026-11-20T08:00:00Z", "epcList": [item.uri for item in items],
        "quantityList": [{"epcClass": LOT.uri, "quantity": len(items)}],
    }  # fmt: skip  # one event
    cases = [items[at : at + ITEMS_IN_CASE] for at in range(0, len(items), ITEMS_IN_CASE)]
    for number, rows in enumerate(cases):
        yield moment | {
            "type": "AggregationEvent", "action": "ADD", "bizStep": "packing",
            "eventTime": f"2026-11-20T09:{number:02}:00Z", "parentID": unit(number).uri,
            "childEPCs": [item.uri for item in rows],
        }  # fmt: skip  # one event
    for pallet in range(len(cases) // CASES_ON_PALLET):
        first = pallet * CASES_ON_PALLET
        yield moment | {
            "type": "AggregationEvent", "action": "ADD", "bizStep": "loading",
            "eventTime": f"2026-11-20T10:{pallet:02}:00Z", "parentID": unit(900 + pallet).uri,
            "childEPCs": [unit(number).uri for number in range(first, first + CASES_ON_PALLET)],
        }  # fmt: skip  # one event
        report = {"type": "Temperature", "minValue": 2.1, "maxValue": 6.8, "uom": "CEL"}
        yield moment | {
            "type": "ObjectEvent", "action": "OBSERVE", "bizStep": "transporting",
            "eventTime": f"2026-11-20T12:{pallet:02}:00Z", "epcList": [unit(900 + pallet).uri],
            "sensorElementList": [{"sensorReport": [report]}],
        }  # fmt: skip  # one event


@pytest.fixture(scope="module")
def play(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Play]:
    """Everything told, and on the chain."""
    folder = tmp_path_factory.mktemp("trace")
    machine = ChainProcess(folder / "chain").found().start()
    home = folder / "portal"
    token = a_token(home, machine)
    command = ["portal", "run", "--home", str(home), "--node", str(machine.home), "--port", "0"]
    process = subprocess.Popen([*WHARF, *command], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r"http://[\w.]+:\d+", process.stdout.readline())
        assert found is not None
        items = [sgtin(GTIN, new_serial(os.urandom)) for _ in range(ITEMS)]
        made = Play(found[0], token, machine.home, items)
        made.chain(KIND_BRAND, PREFIX)
        made.chain(KIND_THINGS, [item.chain_id for item in items])
        head, _ = made.call(
            "/epcis/capture", document(*journey(items)), **{"wharf-show": "consumers"}
        )
        job = json.loads(made.call(head["location"])[1])
        assert (True, 29) == (job["success"], job["wharf:newEvents"])
        wait_for_chain(made)
        yield made
    finally:
        process.terminate()
        process.wait(timeout=30)
        machine.stop()


def wait_for_chain(play: Play) -> None:
    """Until the read model has what the chain took: the page says so."""
    until = time.monotonic() + WAIT_S
    while b"All steps are on the chain" not in play.call("/item" + play.items[0].path)[1]:
        assert time.monotonic() < until, "the events did not come back from the chain"
        time.sleep(0.2)  # between two looks, as a person would reload


def a_token(home: Path, machine: ChainProcess) -> str:
    """A token of the organisation, as its administrator would make it."""
    home.mkdir(mode=0o700)
    _, office = open_engines(PortalConfig(home=home, node=machine.home))
    accounts = make_accounts(office)
    assert machine.founded is not None

    async def party() -> bytes:
        async with PagesClient(machine.home / PAGES_SOCKET_NAME) as door:
            return await door.party_id()

    organisation = asyncio.run(party())
    viewer = Viewer(
        organisation_id=organisation, person_id="p", name="P", roles=frozenset({Role.ADMIN})
    )
    return accounts.new_token(viewer, "test", [Role.MANAGER, Role.WAREHOUSE], days=1)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        yield made
        made.close()


def test_a_printed_code_is_scanned_and_opens_without_javascript(
    play: Play, browser: Browser
) -> None:
    item = play.items[17]
    _, zpl = play.call(f"/labels/zpl?code={item.uri}")
    code = scanned(zpl.decode())
    page = browser.new_context(java_script_enabled=False).new_page()
    sizes: list[int] = []
    page.on("response", lambda answer: sizes.append(len(answer.body()) if answer.ok else 0))
    hosts: set[str] = set()
    page.on("request", lambda asked: hosts.add(asked.url.split("/")[2]))
    page.goto(code.replace("HTTP://", "http://"))
    page.wait_for_load_state("networkidle")
    text = page.inner_text("main")
    assert item.path in page.url
    assert "2.1 – 6.8 °C" in text
    assert "The number belongs to operator." in text
    assert "The owner registered this very item on the chain." in text
    assert "Packed" in text
    assert "On the way" in text
    assert 0 < sum(sizes) <= 150_000
    assert {play.address.split("/")[2]} == hosts


def scanned(zpl: str) -> str:
    """What a scanner reads from a drawn label."""
    (width,), (height,) = re.findall(r"\^PW(\d+)", zpl), re.findall(r"\^LL(\d+)", zpl)
    size = (int(width) + 80, int(height) + 80)
    image = bytearray(b"\xff") * (size[0] * size[1])
    for row in re.findall(r"\^FO(\d+),(\d+)\^GB(\d+),(\d+),", zpl):
        x, y, wide, high = map(int, row)
        for line in range(y + 40, y + high + 40):
            image[line * size[0] + x + 40 : line * size[0] + x + 40 + wide] = bytes(wide)
    view = memoryview(image).cast("B", shape=[size[1], size[0]])
    (code,) = zxingcpp.read_barcodes(view)
    return str(code.text)


def test_the_browser_checks_every_step_against_the_chain(play: Play, browser: Browser) -> None:
    page = browser.new_page()
    page.goto(play.address + "/item" + play.items[3].path)
    page.click("#check-now")
    answer = page.locator("#check-answer")
    expect(answer).to_contain_text("Checked here: 4 of 4 steps are on the chain wharf-test")
    expect(answer).to_contain_text("for the first time")
    page.click("#check-now")
    expect(answer).to_contain_text("the chain that this browser saw before")


@pytest.mark.parametrize(
    ("what", "expected"), [("text", "3 of 4 steps"), ("chain", "It does not check")]
)
def test_a_proof_that_was_changed_on_the_way_is_refuted(
    play: Play, browser: Browser, what: str, expected: str
) -> None:
    page = browser.new_page()

    def changed(route: Any) -> None:
        proof = route.fetch().json()
        if what == "text":
            proof["events"][0]["text"] = proof["events"][0]["text"].replace("ADD", "OBS")
        else:
            at = len(proof["chain"]) // 2
            digit = "0" if proof["chain"][at] != "0" else "1"
            proof["chain"] = proof["chain"][:at] + digit + proof["chain"][at + 1 :]
        route.fulfill(json=proof)

    page.route("**/item-proof/**", changed)
    page.goto(play.address + "/item" + play.items[3].path)
    page.click("#check-now")
    expect(page.locator("#check-answer")).to_contain_text(expected)


def test_a_recall_reaches_every_item_of_the_lot(play: Play, browser: Browser) -> None:
    play.chain(KIND_RECALL, True, b"n" * 32, [LOT.chain_id])
    page = browser.new_page()
    page.goto(play.address + "/item" + play.items[99].path)
    until = time.monotonic() + WAIT_S
    while not page.locator("#recall").count() and time.monotonic() < until:
        page.reload()
    expect(page.locator("#recall")).to_contain_text("Recalled: do not use it")


def test_one_copied_code_among_two_hundred_is_noticed(play: Play) -> None:
    copied, honest = play.items[50], play.items[51]
    for number in range(13):
        request = urllib.request.Request(
            play.address + "/item" + copied.path, headers={"user-agent": f"phone {number}"}
        )
        text = urllib.request.urlopen(request, timeout=30).read().decode()
    assert "This code may be a copy" in text
    other = urllib.request.urlopen(play.address + "/item" + honest.path, timeout=30).read()
    assert b"may be a copy" not in other
