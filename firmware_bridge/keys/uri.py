"""Where a signing key lives, as a URI: RFC 7512 for tokens, `file:` for development keys.

`pkcs11:token=wharf;object=ledger?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/path`
A PIN itself is refused in a URI: configurations are read, copied and logged.
"""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import unquote

from firmware_bridge.errors import SpecError

_KNOWN: Final = frozenset({"token", "serial", "object", "id", "type", "module-path", "pin-source"})
_FIELD: Final = "signing key"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenUri:
    """A key on a PKCS#11 token. serial, where given, must be the token's: labels can be doubled."""

    token: str
    object: str
    module_path: str
    pin_source: str  # a path; read by the signer's own process only
    serial: str | None = None


def parse_token_uri(uri: str) -> TokenUri:
    """The parts of a `pkcs11:` URI; attributes may stand before or after the `?`.

    Raises SpecError naming what is missing, unknown or doubled.
    """
    scheme, _, rest = uri.partition(":")
    if scheme != "pkcs11":
        raise SpecError(_FIELD, f"{scheme!r} is not pkcs11")
    parts: dict[str, str] = {}
    for piece in rest.replace("?", ";").replace("&", ";").split(";"):
        name, _, value = piece.partition("=")
        if name in ("pin-value", "pin"):
            raise SpecError(_FIELD, "a PIN in the URI is refused; name a file with pin-source")
        if name not in _KNOWN or name in parts or not value:
            raise SpecError(_FIELD, f"attribute {name!r} is unknown, doubled or empty")
        parts[name] = unquote(value)
    for name in ("token", "object", "module-path", "pin-source"):
        if name not in parts:
            raise SpecError(_FIELD, f"attribute {name!r} is missing")
    return TokenUri(
        token=parts["token"],
        object=parts["object"],
        module_path=parts["module-path"],
        pin_source=parse_file_uri(parts["pin-source"]),
        serial=parts.get("serial"),
    )


def parse_file_uri(uri: str) -> str:
    """The absolute path of `file:/path` or `file:///path`. Raises SpecError."""
    path = unquote(uri.removeprefix("file:").removeprefix("//"))
    if not uri.startswith("file:") or not PurePosixPath(path).is_absolute():
        raise SpecError(_FIELD, "not file: with an absolute path")
    return path
