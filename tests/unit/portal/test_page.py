from __future__ import annotations

import json
import re

from portal import page

HOSTILE = [{"type": "title", "title": "</script><script>alert(1)</script><!--scripts-->\u2028"}]


def embedded(html: str) -> object:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def test_text_of_an_event_cannot_leave_the_data_element() -> None:
    html = page.report_page(HOSTILE)
    assert HOSTILE == embedded(html)
    assert "alert(1)</script>" not in html


def test_the_report_allows_its_own_script_and_style_by_digest_only() -> None:
    html = page.report_page([])
    script = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    style = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    assert (1, 1) == (len(script), len(style))
    policy = re.search(r'http-equiv="Content-Security-Policy" content="(.*?)"', html)
    assert policy is not None
    assert f"script-src '{page.source_digest(script[0])}'" in policy[1]
    assert f"style-src '{page.source_digest(style[0])}'" in policy[1]
    assert "unsafe" not in policy[1]


def test_no_page_asks_anything_of_another_host() -> None:
    for html in (page.report_page([]), page.live_page([])):
        addresses = set(re.findall(r"(?:https?:)?//[\w.]+\.\w+", html))
        assert {"http://www.w3.org"} >= addresses  # the name of SVG, never fetched


def test_the_scripts_set_no_style_attribute_which_the_policy_would_refuse() -> None:
    for name in page.SCRIPTS:
        text = page.asset(name).decode()
        assert not re.search(r"""[{,]\s*style:|setAttribute\(.style|innerHTML|eval\(""", text), name


def test_both_languages_say_every_word() -> None:
    text = page.asset("words.js").decode()
    english, chinese = (
        set(re.findall(r"^      (\w+):", part, re.MULTILINE)) for part in text.split("    zh: {")
    )
    assert english == chinese
