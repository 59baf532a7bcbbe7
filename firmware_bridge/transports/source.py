"""A device's source as a URI: `serial:/dev/...?baud=9600`, `tcp:host:port`, `mqtt:topic` ..."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from firmware_bridge.errors import SpecError

_FIELD: Final = "source"


@dataclass(frozen=True, slots=True)
class Source:
    """The parts of a source URI; parameters are whole numbers."""

    scheme: str
    path: str  # mqtt: the topic filter; tcp, tls, listen: host:port; ble: the address
    parameters: Mapping[str, int]

    def number(self, name: str, default: int) -> int:
        """A parameter, or its default where it is not given."""
        return self.parameters.get(name, default)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of a tcp:, tls: or listen: source."""
        host, _, port = self.path.rpartition(":")
        return host.strip("[]"), int(port)


_PARAMETERS: Final[Mapping[str, Collection[str]]] = {
    "serial": ("baud",),
    "tcp": (),
    "tls": (),
    "listen": (),
    "ble": (),
    "replay": ("rate", "loop", "baud"),
    "w1": (),
    "mqtt": (),
}
SCHEMES: Final = tuple(_PARAMETERS)
_FILES: Final = ("serial", "replay", "w1")
_ADDRESSES: Final = ("tcp", "tls", "listen")
_MAC: Final = re.compile(r"(?:[0-9A-F]{2}:){5}[0-9A-F]{2}\Z", re.ASCII)


def parse_source(uri: str) -> Source:
    """The source that a URI names. Raises SpecError for an unknown scheme, parameter or number."""
    scheme, _, rest = uri.partition(":")
    if scheme not in SCHEMES:
        raise SpecError(_FIELD, f"{scheme!r} is not one of {', '.join(SCHEMES)}")
    # A topic may hold any character but a question mark is no part of a usable one either.
    path, _, query = rest.partition("?")
    if not path or (scheme in _FILES and not path.startswith("/")):
        raise SpecError(_FIELD, f"{uri!r} names no absolute path or topic")
    if scheme in _ADDRESSES and not _is_address(path):
        raise SpecError(_FIELD, f"{uri!r} is not {scheme}:HOST:PORT with a port from 1 to 65535")
    if scheme == "ble" and _MAC.match(path) is None:
        raise SpecError(_FIELD, f"{uri!r} is not ble: and an address such as CB:B8:33:4C:88:4F")
    parameters: dict[str, int] = {}
    for piece in query.split("&") if query else ():
        name, _, value = piece.partition("=")
        if name not in _PARAMETERS[scheme] or name in parameters:
            raise SpecError(_FIELD, f"parameter {name!r} is unknown or doubled for {scheme}:")
        if not (value.isascii() and value.isdigit() and len(value) <= 9):
            raise SpecError(_FIELD, f"{name} is not a whole number")
        parameters[name] = int(value)
    return Source(scheme, path, parameters)


def _is_address(path: str) -> bool:
    host, _, port = path.rpartition(":")
    is_number = port.isascii() and port.isdigit() and len(port) <= 5
    return bool(host) and is_number and 0 < int(port) <= 65_535
