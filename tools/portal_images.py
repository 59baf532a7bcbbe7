"""Take the README's pictures of the pages: `python -m tools.portal_images docs/images`."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from portal.access import Role
from tests.fakes.portal import CONSIGNMENT, OURS
from tests.fakes.served import a_days_trip, served

PICTURES = (
    ("consignment", f"/consignments/{CONSIGNMENT.hex()}", (1280, 1180), "light"),
    ("consignment-phone", f"/consignments/{CONSIGNMENT.hex()}", (390, 1180), "dark"),
    ("warehouse", "/warehouse", (1280, 720), "light"),
)


def main() -> int:
    """Draws each page in Chromium and keeps its picture."""
    parser = argparse.ArgumentParser(description="take pictures of the pages")
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    with (
        tempfile.TemporaryDirectory() as scratch,
        served(Path(scratch), a_days_trip()) as site,
        sync_playwright() as tools,
    ):
        person = site.parts.accounts.add_person(OURS.hex(), "Li Na", [Role.ADMIN])
        viewer = site.parts.accounts.new_code(person.id)
        browser = tools.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(f"{site.address}/enrol?code={viewer}")
        page.get_by_role("button", name="Go on").click()
        page.wait_for_url("**/warehouse")
        page.evaluate(ZONES)
        for name, path, (width, height), scheme in PICTURES:
            page.set_viewport_size({"width": width, "height": height})
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of its words
            page.goto(site.address + path)
            if path.startswith("/consignments"):
                page.wait_for_selector("[data-drawn]")
            page.screenshot(path=folder / f"{name}.png")
        browser.close()
    return 0


# The plan of a site, as a person would add it zone by zone.
ZONES = """async () => {
  const csrf = document.querySelector('[name=csrf]').value;
  const zones = [
    ['Cold room', 'cold', 4, 8, 44, 50], ['Dock 1', 'dock', 4, 64, 20, 28],
    ['Dock 2', 'dock', 28, 64, 20, 28], ['Store', 'store', 54, 8, 42, 84],
  ];
  const place = await (await fetch('/warehouse/plan')).text();
  const probe = place.match(/value="([0-9a-f]+\\/probe-1)"/)[1];
  for (const [name, kind, left, top, width, height] of zones) {
    const device = kind === 'cold' ? probe : '';
    const form = { csrf, site: 'Oslo', name, kind, left, top, width, height, device };
    await fetch('/warehouse/plan', { method: 'POST', body: new URLSearchParams(form) });
  }
}"""


if __name__ == "__main__":
    raise SystemExit(main())
