"""The page that checks proofs in a browser says of every file what the command line says."""

from __future__ import annotations

import base64
import os
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, sync_playwright

from ledger.verify import verify_bundle
from logistics.verdict_words import verdict_lines
from portal.verifier import verifier_page
from tests.unit.ledger.corpus import Case, cases, changed_bytes
from tests.unit.ledger.feed_builder import good_scene

NIGHTLY = os.environ.get("WHARF_VOLUME") == "nightly"
STRIDE = 1 if NIGHTLY else 7
BATCH = 200
JUDGE_ALL = """async (items) => {
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const found = [];
  for (const [file, trust] of items) {
    const started = performance.now();
    const verdict = await wharf.verify(bytes(file), trust === null ? null : bytes(trust));
    found.push({
      outcome: verdict.outcome, codes: verdict.findings.map((item) => item.code),
      lines: wharf.lines(verdict), zh: wharf.lines(verdict, "zh"), ms: performance.now() - started,
    });
  }
  return found;
}"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    file = tmp_path_factory.mktemp("verifier") / "verify.html"
    file.write_text(verifier_page(), encoding="utf-8")
    with sync_playwright() as player:
        browser = player.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        context = browser.new_context(offline=True, locale="en-GB")
        opened = context.new_page()
        complaints: list[str] = []
        opened.on("console", lambda message: complaints.append(message.text))
        opened.on("pageerror", lambda error: complaints.append(str(error)))
        opened.goto(file.as_uri())
        yield opened
        browser.close()
    assert [text for text in complaints if "Content Security Policy" not in text] == []


def judged(page: Page, chosen: list[Case]) -> list[dict[str, Any]]:
    """What the page says of each."""
    found: list[dict[str, Any]] = []
    for start in range(0, len(chosen), BATCH):
        items = [
            [base64.b64encode(data).decode(), base64.b64encode(trust).decode() if trust else None]
            for _, data, trust in chosen[start : start + BATCH]
        ]
        found += page.evaluate(JUDGE_ALL, items)
    return found


def comparable(
    outcome: str, codes: list[str], lines: list[str]
) -> tuple[str, list[str], list[str]]:
    """Everything but a refusal's reason, which each verifier words, and how trust is given."""
    if outcome == codes[0]:
        return outcome, codes, lines[:1]
    how = ("Consistent in itself", "文件自身一致")
    return outcome, codes, [line for line in lines if not line.startswith(how)]


def expected(data: bytes, trust: bytes | None, language: str) -> tuple[str, list[str], list[str]]:
    verdict = verify_bundle(data, trusted_genesis_sha256=trust)
    codes = [str(finding.code) for finding in verdict.findings]
    return comparable(verdict.outcome.name.lower(), codes, verdict_lines(verdict, language))


def test_browser_and_command_line_say_the_same_of_every_file(page: Page) -> None:
    chosen = [*cases(), *changed_bytes(STRIDE)]
    assert len({lie for lie, _, _ in chosen}) > 30
    answers = judged(page, chosen)
    for (lie, data, trust), answer in zip(chosen, answers, strict=True):
        for language, lines in (("en", answer["lines"]), ("zh", answer["zh"])):
            said = comparable(answer["outcome"], answer["codes"], lines)
            assert expected(data, trust, language) == said, lie
    assert {"proven", "refuted", "unchecked"} == {answer["outcome"] for answer in answers}
    print(f"{len(answers)} files, median {statistics.median(a['ms'] for a in answers):.1f} ms")


def test_every_line_has_chinese_words_too(page: Page) -> None:
    for answer in judged(page, list(cases())):
        assert len(answer["lines"]) == len(answer["zh"])
        said = [line for line in answer["zh"] if not line.startswith("wharf-")]
        assert any("\u4e00" <= letter <= "\u9fff" for letter in said[0])
        assert "undefined" not in " ".join(answer["zh"] + answer["lines"])


def test_a_person_chooses_the_file_and_reads_the_verdict(page: Page, tmp_path: Path) -> None:
    scene = good_scene()
    file = tmp_path / "trip.wharf"
    file.write_bytes(scene.bundle().encode())
    page.set_input_files("#file", file)
    page.wait_for_selector("#verdict.unchecked")
    page.fill("#trust", "12")
    page.keyboard.press("Tab")
    assert "64" in page.inner_text("#note")
    page.fill("#trust", scene.trust.hex())
    page.keyboard.press("Tab")
    page.wait_for_selector("#verdict.proven")
    verdict = page.inner_text("#verdict")
    assert "PROVEN: probe" in verdict
    assert "nothing between them is missing" in verdict
    page.click("#language")
    assert "已证明" in page.inner_text("#verdict")
    page.click("#language")


def test_the_page_may_ask_nothing_of_anybody(page: Page) -> None:
    policy = page.get_attribute('meta[http-equiv="Content-Security-Policy"]', "content") or ""
    assert "default-src 'none'" in policy
    assert "connect-src" not in policy
    asked = page.evaluate("fetch('https://example.org').then(() => 'sent', () => 'refused')")
    assert "refused" == asked
