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


class FollowError(PortalError):
    """What the chain machine gave is not of a form that this portal reads."""


class UnreadError(PortalError):
    """A projection cannot read an accepted item; the item stays accepted and is named as unread."""


class HomeError(PortalError):
    """The portal's folder cannot be used: missing, damaged, or in use by another portal."""


class VisitorError(PortalError):
    """What a visitor asked for cannot be given; status is HTTP's, key the words to say so."""

    status = 400
    key = "error.bad"

    def __init__(self, key: str = "", **values: object) -> None:
        self.key, self.values = key or self.key, values
        super().__init__(self.key)


class SignInNeededError(VisitorError):
    """Nobody is signed in, and the page is not public."""

    status, key = 401, "error.sign_in"


class ForbiddenError(VisitorError):
    """The person's role does not allow it, or the form is not from our own page."""

    status, key = 403, "error.forbidden"


class MissingError(VisitorError):
    """There is no such thing, or it is not this viewer's: both look the same from outside."""

    status, key = 404, "error.missing"


class TooManyError(VisitorError):
    """Asked too often; retry_s: when to come back."""

    status, key = 429, "error.too_many"

    def __init__(self, retry_s: int) -> None:
        super().__init__(seconds=retry_s)
        self.retry_s = retry_s


class FieldError(VisitorError):
    """A field of a form is wrong; key: the words that say how, values: what they name."""

    status = 422

    def __init__(self, field: str, key: str, **values: object) -> None:
        super().__init__(key, field=field, **values)
        self.field = field
