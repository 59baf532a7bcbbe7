"""The machine that is installed into: every effect goes through here, each all or nothing.

Its root may be a folder instead of `/`: then programs that speak to the running system are not
called, and the same files go into the folder.
"""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT_ID: Final = 0
KEPT: Final = ".before-wharf"
# What a child may inherit: where programs are, and how packages are fetched here.
_ENVIRONMENT: Final = ("PATH", "HOME", "SSL_CERT_FILE", "SSL_CERT_DIR", "SOURCE_DATE_EPOCH")
_ENVIRONMENT_PREFIXES: Final = ("PIP_", "http", "HTTP")
_PROGRAM_S_MAX: Final = 1800


class InstallError(Exception):
    """Something that a person has to mend; the text says what and how."""


class ProgramError(InstallError):
    """A program that was called did not succeed."""

    def __init__(self, command: Sequence[str], said: str) -> None:
        super().__init__(f"{' '.join(command)}: {said.strip() or 'failed and said nothing'}")
        self.command = tuple(command)


@dataclass(frozen=True, slots=True)
class Owner:
    """Who owns a file, by names of the machine's own /etc/passwd and /etc/group."""

    user: str = "root"
    group: str = "root"


@dataclass(frozen=True, slots=True)
class FileWish:
    """A file as it shall be."""

    path: str  # absolute, as the machine sees it
    data: bytes
    mode: int = 0o644
    owner: Owner = Owner()


def _id_of(database: Path, name: str, column: int) -> int | None:
    """The number of a user or group; None where the machine does not know the name."""
    lines = database.read_text(encoding="utf-8").splitlines() if database.exists() else []
    rows = (line.split(":") for line in lines)
    return next((int(row[column]) for row in rows if row[0] == name), None)


class Machine:
    """The tree under one root, and the programs that may be called for it."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    @property
    def is_here(self) -> bool:
        """True when the root is this machine's own."""
        return self.root == Path("/")

    @property
    def is_booted(self) -> bool:
        """True when systemd runs this very root, so that units can be started."""
        return self.is_here and Path("/run/systemd/system").is_dir()

    def at(self, path: str) -> Path:
        """Where a path of the machine lies for us."""
        return self.root / path.lstrip("/")

    def user_id(self, name: str) -> int | None:
        """The user's number, or None."""
        return _id_of(self.at("/etc/passwd"), name, 2)

    def group_id(self, name: str) -> int | None:
        """The group's number, or None."""
        return _id_of(self.at("/etc/group"), name, 2)

    def _ids(self, owner: Owner) -> tuple[int, int] | None:
        """The numbers to give a file; None for a person who may not give files away."""
        if os.geteuid() != ROOT_ID:
            return None
        return self.user_id(owner.user) or ROOT_ID, self.group_id(owner.group) or ROOT_ID

    def has(self, wish: FileWish) -> bool:
        """True when the file is there as wished: bytes, mode and owner."""
        path = self.at(wish.path)
        if path.is_symlink() or not path.is_file() or path.read_bytes() != wish.data:
            return False
        return self._is_mode_and_owner(path, wish.mode, wish.owner)

    def has_folder(self, path: str, mode: int, owner: Owner) -> bool:
        """True when the folder is there with mode and owner."""
        place = self.at(path)
        return place.is_dir() and self._is_mode_and_owner(place, mode, owner)

    def _is_mode_and_owner(self, path: Path, mode: int, owner: Owner) -> bool:
        facts, ids = path.stat(), self._ids(owner)
        return facts.st_mode & 0o7777 == mode and ids in (None, (facts.st_uid, facts.st_gid))

    def write(self, wish: FileWish) -> None:
        """Puts the file there, whole or not at all."""
        path = self.at(wish.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        # One name for all tries: what a killed run left is overwritten by the next.
        fresh = path.with_name(f".{path.name}.wharf-new")
        fresh.unlink(missing_ok=True)
        # Never readable by others, not even for a moment: some of these hold a password.
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(wish.data)
            self._give(fresh, wish.mode, wish.owner)
            os.fsync(file.fileno())
        fresh.replace(path)

    def _give(self, path: Path, mode: int, owner: Owner) -> None:
        ids = self._ids(owner)
        if ids is not None:
            os.chown(path, *ids)
        path.chmod(mode)

    def keep_copy(self, path: str) -> None:
        """Keeps what a person may have changed as *.before-wharf, which no drop-in folder reads."""
        place = self.at(path)
        if place.is_file():
            shutil.copy2(place, f"{place}{KEPT}")

    def make_folder(self, path: str, mode: int, owner: Owner) -> None:
        """Makes the folder, or mends its mode and owner; what is in it stays."""
        place = self.at(path)
        place.mkdir(parents=True, exist_ok=True)
        self._give(place, mode, owner)

    def link_target(self, path: str) -> str | None:
        """What a symbolic link says; None where there is none."""
        place = self.at(path)
        return str(place.readlink()) if place.is_symlink() else None

    def link(self, path: str, target: str) -> None:
        """Makes the symbolic link, or turns it round in one move."""
        place = self.at(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        fresh = place.with_name(f".{place.name}.wharf-new")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(target)
        fresh.replace(place)

    def remove(self, path: str) -> None:
        """Removes a file, a link or a whole folder; nothing happens where there is none."""
        place = self.at(path)
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)

    def exists(self, path: str) -> bool:
        """True for anything by that name, a dangling link too."""
        place = self.at(path)
        return place.exists() or place.is_symlink()

    def run(self, *command: str, temporary: Path | None = None) -> str:
        """What a program printed. Raises ProgramError. `temporary`: its folder for loose files."""
        environment = {
            name: value
            for name, value in os.environ.items()
            if name in _ENVIRONMENT or name.startswith(_ENVIRONMENT_PREFIXES)
        }
        environment |= {"LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
        if temporary is not None:
            environment["TMPDIR"] = str(temporary)
        try:
            done = subprocess.run(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_PROGRAM_S_MAX,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ProgramError(command, str(error)) from error
        if done.returncode != 0:
            raise ProgramError(command, done.stderr or done.stdout)
        return done.stdout
