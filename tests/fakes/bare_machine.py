"""A machine in a folder whose pip is a stand-in, and which can die before any of its effects."""

from __future__ import annotations

import hashlib
from pathlib import Path

from deploy.raspberrypi.installer.machine import FileWish, Machine, Owner, ProgramError

SECRETS = {"broker-password", "wharf.passwd"}


class KilledError(BaseException):
    """As SIGKILL: nothing that the program could do about it."""


class BareMachine(Machine):
    """`dies_at`: the effect, counted from 0, before which it dies; None: never."""

    def __init__(self, root: Path, *, dies_at: int | None = None, booted: bool = False) -> None:
        super().__init__(root)
        self.effects, self.told = 0, list[tuple[str, ...]]()
        self._dies_at, self._booted = dies_at, booted
        self.refused: tuple[str, ...] | None = None

    @property
    def is_booted(self) -> bool:
        return self._booted

    def _live(self) -> None:
        if self.effects == self._dies_at:
            raise KilledError
        self.effects += 1

    def write(self, wish: FileWish) -> None:
        self._live()
        super().write(wish)

    def keep_copy(self, path: str) -> None:
        self._live()
        super().keep_copy(path)

    def make_folder(self, path: str, mode: int, owner: Owner) -> None:
        self._live()
        super().make_folder(path, mode, owner)

    def link(self, path: str, target: str) -> None:
        self._live()
        super().link(path, target)

    def remove(self, path: str) -> None:
        self._live()
        super().remove(path)

    def run(self, *command: str, temporary: Path | None = None) -> str:
        self._live()
        if command[0] in {"systemd-sysusers", "userdel"}:
            return super().run(*command, temporary=temporary)
        if "pip" in command:
            self._put_in_place(command)
        elif "compileall" not in command:
            self.told.append(command)
            if command == self.refused:
                self.refused = None
                raise ProgramError(command, "the unit did not start")
        return ""

    def _put_in_place(self, command: tuple[str, ...]) -> None:
        """Write as pip would, and die in the middle of it if that is the moment."""
        site = Path(command[command.index("--target") + 1])
        name = "ours" if "--no-deps" in command else "theirs"
        for file in ("__init__.py", "more.py"):
            (site / name).mkdir(exist_ok=True)
            (site / name / file).write_text(f"# {command[-1].rpartition('/')[2]}\n")
            self._live()


def tree(root: Path, *, with_times: bool = False) -> dict[str, object]:
    """Return all below a folder: mode, owner, contents; what is random only as being there."""
    found: dict[str, object] = {}
    for path in sorted(root.rglob("*")):
        facts = path.lstat()
        if path.is_symlink():
            said = str(path.readlink())
        elif path.is_dir() or path.name in SECRETS:
            said = "there"
        else:
            said = hashlib.sha256(path.read_bytes()).hexdigest()
        row: list[object] = [oct(facts.st_mode), facts.st_uid, facts.st_gid, said]
        if with_times:
            row.append(facts.st_mtime_ns)
        found[path.relative_to(root).as_posix()] = row
    return found
