"""The verifier as one file for a browser: its modules folded into one script, allowed by digest
alone.

The page asks nothing of anybody: no server, no network, no storage. Whoever holds the file can
check proofs with it, years on.
"""

from __future__ import annotations

import re
from importlib import resources

from portal.page import source_digest

MODULES = ("bytes", "cbor", "merkle", "keys", "chain", "feed", "judge", "words", "page")
_IMPORT = re.compile(r'^import \{([^}]*)\} from "\./(\w+)\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|class|const) (\w+))", re.MULTILINE)


def verifier_page(trusted_genesis_hex: str = "") -> str:
    """Return the page's HTML. trusted_genesis_hex: what it is filled in with, 64 digits or none."""
    style, script = _source("page.css"), verifier_script()
    policy = (
        f"default-src 'none'; script-src '{source_digest(script)}'; "
        f"style-src '{source_digest(style)}'; base-uri 'none'; form-action 'none'"
    )
    page = _source("page.html")
    for name, text in (
        ("policy", f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
        ("trust", f'<meta name="wharf-trust" content="{trusted_genesis_hex}">'),
        ("style", f"<style>{style}</style>"),
        ("script", f'<script type="module">{script}</script>'),
    ):
        page = page.replace(f"<!--{name}-->", text, 1)
    return page


def verifier_script() -> str:
    """Return one script that holds all modules, each in a scope of its own, in their order."""
    folded = "\n".join(_folded(name) for name in MODULES)
    return f'"use strict";\nconst modules = {{}};\n{folded}'


def _folded(name: str) -> str:
    source = _source(f"{name}.js")
    exported = ", ".join(match[1] for match in _EXPORT.finditer(source))
    body = _EXPORT.sub("", _IMPORT.sub(_from_module, source))
    return f"modules.{name} = (() => {{\n{body}return {{ {exported} }};\n}})();"


def _from_module(match: re.Match[str]) -> str:
    return f"const {{{match[1]}}} = modules.{match[2]};\n"


def _source(name: str) -> str:
    return resources.files("portal").joinpath("static", "verify", name).read_text(encoding="utf-8")
