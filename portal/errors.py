"""Errors of the portal: one root, branches by whose fault."""

from __future__ import annotations

from pathlib import Path


class PortalError(Exception):
    """Root of what the portal raises."""


class EventsFileError(PortalError):
    """The events file cannot be read: the caller named a wrong file."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"events file {path}: {reason}")
        self.path, self.reason = path, reason


class AddressInUseError(PortalError):
    """The address asked for cannot be listened on."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(f"cannot listen on {host}:{port}: {reason}; try --port 0")
        self.host, self.port = host, port


class MissingExtraError(PortalError):
    """A library that the live page needs is not installed."""

    def __init__(self, module: str) -> None:
        super().__init__(f"{module} is not installed; to add: pip install 'wharfinger[portal]'")
        self.module = module
