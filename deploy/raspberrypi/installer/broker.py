"""The gateway's own account at the broker of the box.

mosquitto's password file has one line for each user, `name:$7$101$SALT$HASH`: PBKDF2 with
HMAC-SHA-512, the salt and 64 bytes of hash in base64 (mosquitto_passwd, version 2). It is computed
here because mosquitto_passwd would take the password as an argument, for all to see.
"""

import base64
import hashlib
import hmac
import secrets
from pathlib import Path
from typing import Final

from deploy.raspberrypi.installer.machine import FileWish, Machine, Owner

PASSWORD_PATH: Final = "/etc/wharf/broker-password"  # noqa: S105  # a path
ACCOUNTS_PATH: Final = "/etc/mosquitto/wharf.passwd"
USER: Final = "gateway"
_ROUNDS: Final = 101
_SALT_BYTES: Final = 12
_HASH_BYTES: Final = 64
_FIELDS: Final = 5


def account_line(user: str, password: str, salt: bytes) -> str:
    """The broker's line for a user."""
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ROUNDS, _HASH_BYTES)
    parts = [base64.b64encode(part).decode() for part in (salt, digest)]
    return f"{user}:$7${_ROUNDS}${parts[0]}${parts[1]}"


def is_account_of(line: str, user: str, password: str) -> bool:
    """True when the line lets this user in with this password."""
    parts = line.strip().split("$")
    if len(parts) != _FIELDS or parts[:3] != [f"{user}:", "7", str(_ROUNDS)]:
        return False
    expected = account_line(user, password, base64.b64decode(parts[3]))
    return hmac.compare_digest(expected.encode(), line.strip().encode())


def _password(machine: Machine) -> str:
    path = machine.at(PASSWORD_PATH)
    return path.read_text(encoding="utf-8").strip() if path.is_file() else ""


def _lines(machine: Machine) -> list[str]:
    path = machine.at(ACCOUNTS_PATH)
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []


def has_account(machine: Machine) -> bool:
    """True when the gateway's password opens the broker."""
    password = _password(machine)
    wish = _password_file(password)
    if not password or not machine.has(wish):
        return False
    return any(is_account_of(line, USER, password) for line in _lines(machine))


def make_account(machine: Machine) -> None:
    """Makes the password where there is none, and the broker's line for it; other users stay."""
    password = _password(machine) or secrets.token_urlsafe(24)
    machine.write(_password_file(password))
    others = [line for line in _lines(machine) if not line.startswith(f"{USER}:")]
    mine = account_line(USER, password, secrets.token_bytes(_SALT_BYTES))
    text = "\n".join([*others, mine]) + "\n"
    owner = Owner("root", "mosquitto")
    machine.write(FileWish(ACCOUNTS_PATH, text.encode(), 0o640, owner))


def _password_file(password: str) -> FileWish:
    return FileWish(PASSWORD_PATH, f"{password}\n".encode(), 0o400, Owner("wharf", "wharf"))


if __name__ == "__main__":  # the Debian package's postinst
    here = Machine(Path("/"))
    if not has_account(here):
        make_account(here)
