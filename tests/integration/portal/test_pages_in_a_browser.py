"""Debian's Chromium walks the pages: on a desk and on a phone, by mouse and by keyboard, watched by
axe.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from portal.access import Role
from tests.fakes.portal import CONSIGNMENT, OUR_FEED, OURS, START_MS
from tests.fakes.served import Served, a_days_trip, later_readings, served

AXE = Path(__file__).resolve().parents[2] / "vendor" / "axe.min.js"
CHROMIUM = "/usr/bin/chromium"
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 740}
DAY = f"from={START_MS}&to={START_MS + 1_530 * 60_000}&low=2&high=8"
PROBE = f"/sensors/{OUR_FEED.hex()}/probe-1?{DAY}"
GOODS = f"/consignments/{CONSIGNMENT.hex()}"
PAGES = (
    "/warehouse",
    "/consignments",
    GOODS,
    "/alerts",
    "/alerts/settings",
    "/sensors",
    PROBE,
    "/people",
    "/account",
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("portal"), a_days_trip()) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as tools:
        started = tools.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


def enter(site: Served, context: BrowserContext) -> Page:
    """A page of somebody who came in by a one-time code; whatever the console says is kept."""
    person = site.parts.accounts.add_person(OURS.hex(), "Li Na", [Role.ADMIN])
    page = context.new_page()
    page.goto(f"{site.address}/enrol?code={site.parts.accounts.new_code(person.id)}")
    page.get_by_role("button", name="Go on").click()
    page.wait_for_url("**/warehouse")
    return page


def serious_findings(page: Page) -> list[str]:
    found: dict[str, Any] = page.evaluate(
        f"async () => {{ {AXE.read_text()}\n return axe.run(); }}"
    )
    return [
        f"{item['id']}: {json.dumps([node['target'] for node in item['nodes']])}"
        for item in found["violations"]
        if item["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_every_page_fits_says_nothing_in_the_console_and_has_no_serious_finding(
    site: Served, browser: Browser, size: dict[str, int], scheme: str
) -> None:
    context = browser.new_context(viewport=size, color_scheme=scheme, bypass_csp=False)  # type: ignore[arg-type]  # typed dicts
    page = enter(site, context)
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    for path in PAGES:
        page.goto(site.address + path)
        if path in (PROBE, GOODS):
            page.wait_for_selector("[data-drawn]")
        wide = page.evaluate("document.scrollingElement.scrollWidth - innerWidth")
        assert wide <= 0, f"{path} is {wide} px too wide"
        assert serious_findings(page) == [], path
    assert complaints == []
    context.close()


def test_chart_table_and_way_are_reached_by_keyboard_alone(site: Served, browser: Browser) -> None:
    context = browser.new_context(viewport=DESK)  # type: ignore[arg-type]  # typed dicts
    page = enter(site, context)
    page.goto(site.address + PROBE)
    page.wait_for_selector("[data-drawn]")
    assert "Outside the limits for" in page.locator("h1").inner_text()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # the skip link
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.className") == "chart":
            break
    page.keyboard.press("End")
    last = page.locator(".readout").inner_text()
    page.keyboard.press("ArrowLeft")
    assert page.locator(".readout").inner_text() != last
    assert "°C" in last
    page.keyboard.press("+")
    assert page.locator("canvas.map").is_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.locator(".table tbody tr").count() > 500
    context.close()


def test_the_manager_sees_risk_first_whose_minutes_and_one_cursor_for_chart_and_map(
    site: Served, browser: Browser
) -> None:
    context = browser.new_context(viewport=DESK)  # type: ignore[arg-type]  # typed dicts
    page = enter(site, context)
    page.goto(f"{site.address}/consignments")
    assert page.locator("h1").inner_text().strip().startswith("1 of 1")
    page.locator("tbody tr.risk a").first.click()
    page.wait_for_selector("[data-drawn]")
    assert ["Cold Store Ltd", "Fjord Transport"] == page.locator(".holders span").all_inner_texts()
    assert "Fjord Transport" in page.get_by_text("Whose minutes").locator("..").inner_text()
    assert "both sides" in page.locator("table", has_text="Changes of hands").inner_text()
    page.locator(".chart").focus()
    page.keyboard.press("Home")
    first = page.locator(".readout").inner_text()
    box = page.locator("canvas.map").bounding_box()
    assert box is not None
    for share in range(5, 96, 5):
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] * share / 100)
    assert page.locator(".readout").inner_text() != first  # the map moved the chart's cursor
    context.close()


def test_a_reading_is_seen_within_two_seconds_of_its_coming(site: Served, browser: Browser) -> None:
    context = browser.new_context(viewport=DESK)  # type: ignore[arg-type]  # typed dicts
    page = enter(site, context)
    page.goto(f"{site.address}/sensors/{OUR_FEED.hex()}/probe-1")
    page.wait_for_selector("[data-drawn]")
    page.wait_for_selector("#live.live")
    drawn = page.locator("[data-drawn]").get_attribute("data-drawn")
    site.happen(later_readings(9, 1_531, 1, 4_300))
    page.wait_for_function(
        "drawn => document.querySelector('[data-drawn]').dataset.drawn !== drawn",
        arg=drawn,
        timeout=2_000,
    )
    context.close()


def test_a_passkey_is_made_and_lets_its_owner_in(site: Served, browser: Browser) -> None:
    context = browser.new_context(viewport=PHONE)  # type: ignore[arg-type]  # typed dicts
    page = enter(site, context)
    tools = context.new_cdp_session(page)
    tools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": True,
        "hasUserVerification": True, "isUserVerified": True, "automaticPresenceSimulation": True,
    }  # fmt: skip  # one authenticator
    tools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    page.goto(f"{site.address}/account")
    page.get_by_role("button", name="Add a passkey").click()
    page.wait_for_selector("#passkey-added:visible")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in")
    assert page.goto(f"{site.address}/warehouse") is not None
    assert "/sign-in" in page.url
    page.get_by_role("button", name="Sign in with your passkey").click()
    page.wait_for_url("**/warehouse")
    context.close()
