"""The box's own page: how it is, what its devices say, which alarms stand. Pure; reads only.

Answer first, then evidence. No script, nothing from elsewhere; a browser is told to load nothing
but the page's own style (Content Security Policy, level 3).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from importlib.resources import files
from typing import Any, Final

from gateway.doctor import Finding
from gateway.page_words import CHINESE, ENGLISH, LANGUAGES, word
from logistics.units import UNITS, decimal_text

REFRESH_S: Final = 10
STYLE_PATH: Final = "/health.css"
_POLICY: Final = (
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
HEADERS: Final = (
    ("Content-Security-Policy", _POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-store"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What a page shows. report: the gateway's own; wall_us: when, for the reader's doubt."""

    report: Mapping[str, Any]
    findings: Sequence[Finding]
    wall_us: int


def style() -> bytes:
    """The page's style sheet."""
    return (files("gateway") / "static" / "health.css").read_bytes()


def page(view: View, language: str) -> bytes:
    """The page in a language of `page_words.LANGUAGES`, as HTML in UTF-8."""
    bad = [finding for finding in view.findings if not finding.good]
    raised = [row for row in view.report.get("alarms", []) if row["raised"]]
    tags = {ENGLISH: "en", CHINESE: "zh-Hans"}
    other = CHINESE if language == ENGLISH else ENGLISH
    name = escape(str(view.report["gateway"]))
    parts = [
        f'<!doctype html><html lang="{tags[language]}"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<meta http-equiv="refresh" content="{REFRESH_S}"><title>{name}</title>',
        f'<link rel="stylesheet" href="{STYLE_PATH}"></head><body>',
        f"<header><span>{_said('Gateway', language)} {name}</span>",
        f'<a href="?lang={other}" lang="{tags[other]}">{LANGUAGES[other]}</a></header><main>',
        *(f'<h1 class="bad">{text}</h1>' for text in _headlines(bad, raised, language)),
    ]
    if not bad and not raised:
        parts.append(f'<h1 class="good">✓ {_said("all is well", language)}</h1>')
    parts += _section("Alarms", (_alarm(row, language) for row in raised), language)
    parts += _section("Devices", _devices(view.report, language), language)
    ordered = sorted(view.findings, key=lambda finding: finding.good)
    parts += _section("This box", (_finding(item, language) for item in ordered), language)
    moment = _utc(view.wall_us)
    parts.append(f'</main><footer class="quiet">{_said("Updated", language)} {moment}</footer>')
    return "".join([*parts, "</body></html>"]).encode()


def _said(english: str, language: str) -> str:
    return escape(word(english, language))


def _headlines(bad: Sequence[Finding], raised: Sequence[Any], language: str) -> list[str]:
    lines = []
    for count, one, many in (
        (len(raised), "an alarm stands", "{} alarms stand"),
        (len(bad), "1 thing wants a hand", "{} things want a hand"),
    ):
        if count:
            text = word(one, language) if count == 1 else word(many, language).format(count)
            lines.append(f"▲ {escape(text)}")
    return lines


def _section(title: str, rows: Iterable[str], language: str) -> list[str]:
    items = "".join(rows)
    return [f"<h2>{_said(title, language)}</h2><ul>{items}</ul>"] if items else []


def _finding(finding: Finding, language: str) -> str:
    kind, _, rest = finding.subject.partition(" ")
    subject = word(finding.subject, language)
    if subject == finding.subject and rest:
        subject = f"{word(kind, language)} {rest}"
    mark, state = ("✓", "good") if finding.good else ("▲", "look")
    css = "good" if finding.good else "bad"
    parts = [
        f'<li><span>{escape(subject)}</span><span class="state {css}">{mark} ',
        f'{_said(state, language)}</span><span class="said">{_said(finding.said, language)}</span>',
    ]
    if finding.mend and not finding.good:
        mend = f"{word('do', language)}: {word(finding.mend, language)}"
        parts.append(f'<span class="mend">{escape(mend)}</span>')
    return "".join([*parts, "</li>"])


def _devices(report: Mapping[str, Any], language: str) -> list[str]:
    rows = [_device(row, language) for row in report.get("channels", [])]
    return rows or [f'<li class="quiet">{_said("no device has spoken yet", language)}</li>']


def _device(row: Mapping[str, Any], language: str) -> str:
    name = escape(f"{row['device']} {row['channel']}")
    wall_us = row.get("last_wall_us")
    said = f"{row['readings']:,} {word('readings', language)}"
    if wall_us is not None:
        said = f"{word('last', language)} {_utc(wall_us)}, {said}"
    if row.get("silent"):
        value = f'<span class="state bad">▲ {_said("silent", language)}</span>'
    else:
        value = f'<span class="value">{escape(_value(row))}</span>'
    css = ' class="gap"' if row.get("silent") else ""
    return f'<li{css}><span>{name}</span>{value}<span class="said">{escape(said)}</span></li>'


def _value(row: Mapping[str, Any]) -> str:
    if row.get("value") is None:
        return ""
    unit = str(row.get("unit"))
    symbol = UNITS.get(unit, (unit, unit))[1]
    return f"{row['value']} {symbol}".rstrip()


def _alarm(row: Mapping[str, Any], language: str) -> str:
    side = word("above" if row["above"] else "below", language)
    name = escape(f"{row['device']} {row['channel']}")
    limit = escape(f"{side} {decimal_text(row['limit_milli'], -3)}")
    return (
        f'<li><span>{name}</span><span class="state bad">▲ {_said("raised", language)}</span>'
        f'<span class="said">{limit}</span></li>'
    )


def _utc(wall_us: int) -> str:
    return datetime.fromtimestamp(wall_us // 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
