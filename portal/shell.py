"""What every page shares: templates, words, language, headers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from fastapi import Request
from jinja2 import Environment, FileSystemLoader, PrefixLoader, StrictUndefined
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from portal.access import find_viewer
from portal.words import LANGUAGES, best_language, word

HERE: Final = Path(__file__).parent
LANGUAGE_COOKIE: Final = "wharf_language"
SECURITY_HEADERS: Final[Mapping[str, str]] = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        "connect-src 'self'; font-src 'self'; manifest-src 'self'; worker-src 'self'; "
        "media-src 'self' blob:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "permissions-policy": "camera=(self), geolocation=(self), microphone=(), payment=(), usb=()",
    "cache-control": "no-store",
}


class SecureHeaders:
    """Sets the headers that every answer carries; a room's own value for one of them stays."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers through the application, headers added."""

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message.setdefault("headers", [])
                there = {name.lower() for name, _ in headers}
                headers += [
                    (name.encode(), value.encode())
                    for name, value in SECURITY_HEADERS.items()
                    if name.encode() not in there
                ]
            await send(message)

        await self._app(scope, receive, sent)


def language_of(request: Request) -> str:
    """The language of this visitor: chosen before, or the browser's."""
    chosen = request.cookies.get(LANGUAGE_COOKIE, "")
    return (
        chosen if chosen in LANGUAGES else best_language(request.headers.get("accept-language", ""))
    )


@dataclass(frozen=True, slots=True)
class Shell:
    """Renders templates: "page.html" of the shell, "<room>/page.html" of a room."""

    environment: Environment
    extra: dict[str, Any] = field(default_factory=dict)

    def render(
        self, request: Request, template: str, *, status: int = 200, **values: Any
    ) -> HTMLResponse:
        """The page. Templates see t(key), viewer, language, path and these values."""
        language = language_of(request)
        text = self.environment.get_template(template).render(
            t=partial(word, language),
            viewer=find_viewer(request),
            language=language,
            other="zh" if language == "en" else "en",
            path=request.url.path,
            **self.extra,
            **values,
        )
        return HTMLResponse(text, status_code=status)


def make_shell(rooms: tuple[str, ...], **extra: Any) -> Shell:
    """The shell over the templates of these rooms. extra: values that each template sees."""
    base = FileSystemLoader(HERE / "templates")
    loaders = {room: FileSystemLoader(HERE / room / "templates") for room in rooms}
    environment = Environment(
        loader=PrefixLoader({"shell": base, **loaders}),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "minute": minute,
        "day": day,
        "celsius": celsius,
        "short": short,
        "length_of": length_of,
    }
    return Shell(environment, dict(extra))


def _moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def minute(ms: int | None) -> str:
    """A moment (ms since 1970, UTC) to the minute; a dash where there is none."""
    return "–" if ms is None else _moment(ms).strftime("%Y-%m-%d %H:%M")


def day(ms: int | None) -> str:
    """The day of a moment (ms since 1970, UTC)."""
    return "–" if ms is None else _moment(ms).strftime("%Y-%m-%d")


def celsius(milli: int | None) -> str:
    """Thousandths of a degree with one decimal, rounded half away from zero."""
    if milli is None:
        return "–"
    tenths = (abs(milli) + 50) // 100
    return f"{'−' if milli < 0 and tenths else ''}{tenths // 10}.{tenths % 10}"


def short(hexadecimal: str) -> str:
    """The first eight characters of an id."""
    return hexadecimal[:8]


def length_of(ms: int) -> str:
    """A length of time as people say it: "14 h 10 min", "45 s"."""
    seconds = ms // 1000
    if seconds < 60:
        return f"{seconds} s"
    days, minutes = divmod(seconds // 60, 24 * 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "min")]
    return " ".join(f"{count} {unit}" for count, unit in parts if count)
