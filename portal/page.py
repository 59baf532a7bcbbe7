"""The page's bytes: one renderer, served in parts to a live page or folded into one file.

The live page loads its style and script from the same server; the report carries them inside,
allowed by their digests alone. Neither may ask anything of anybody else.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

STYLE = "page.css"
SCRIPTS = ("words.js", "state.js", "draw.js", "strip.js", "track.js", "panels.js", "page.js")
MEDIA_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8"}
LIVE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def asset(name: str) -> bytes:
    """Return the bytes of one file of the page. name: STYLE or one of SCRIPTS."""
    return resources.files("portal").joinpath("static", name).read_bytes()


def live_page(messages: Sequence[Mapping[str, Any]]) -> str:
    """Return the HTML of the live page, what is known so far inside it."""
    scripts = "\n".join(f'<script defer src="static/{name}"></script>' for name in SCRIPTS)
    return _fill(
        policy="",
        style=f'<link rel="stylesheet" href="static/{STYLE}">',
        scripts=scripts,
        mode="live",
        data=embedded_json(messages),
    )


def report_page(messages: Sequence[Mapping[str, Any]]) -> str:
    """Return one HTML file that shows the messages with no server and no network."""
    style = asset(STYLE).decode()
    script = "\n".join(asset(name).decode() for name in SCRIPTS)
    policy = (
        f"default-src 'none'; script-src '{source_digest(script)}'; "
        f"style-src '{source_digest(style)}'; img-src data:; base-uri 'none'; form-action 'none'"
    )
    return _fill(
        policy=f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        style=f"<style>{style}</style>",
        scripts=f"<script>{script}</script>",
        mode="report",
        data=embedded_json(messages),
    )


def source_digest(text: str) -> str:
    """Return the digest by which a content security policy names an inline text."""
    digest = hashlib.sha256(text.encode()).digest()
    return "sha256-" + base64.b64encode(digest).decode()


def embedded_json(value: object) -> str:
    """Return JSON that may stand inside a script element: no tag can begin in it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _fill(*, policy: str, style: str, scripts: str, mode: str, data: str) -> str:
    shell = asset("page.html").decode()
    # The data goes in last: it may hold anything, a slot's name too.
    for name, text in (("policy", policy), ("style", style), ("mode", mode), ("scripts", scripts)):
        shell = shell.replace(f"<!--{name}-->", text, 1)
    before, _, after = shell.partition("<!--data-->")
    return f"{before}{data}{after}"
