"""One version of the program as a virtual environment of its own folder, complete or absent.

    /opt/wharf/0.1.0/            bin/python3, bin/wharf, lib/python3.11/site-packages, release.json
    /opt/wharf/current   -> 0.1.0
    /opt/wharf/previous  -> 0.0.9

The environment is written file by file and not by `python -m venv`, so that it can be made under
another root, and for another processor, with the paths that it will have when it runs.
"""

import hashlib
import json
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.raspberrypi.installer.machine import InstallError, Machine

HOME: Final = "/opt/wharf"
CURRENT: Final = f"{HOME}/current"
PREVIOUS: Final = f"{HOME}/previous"
MARK: Final = "release.json"
_PARTIAL: Final = ".partial-"
_WHEEL: Final = re.compile(r"wharfinger-([0-9][A-Za-z0-9.+]*)-py3-none-any\.whl")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseWish:
    """What a release is made of."""

    wheel: Path
    lock: Path
    wheels: Path | None = None  # take the dependencies from this folder and ask no index
    python: str = ""  # the interpreter it will run on, as the machine names it; empty: ours
    python_version: str = ""  # "3.11"
    platforms: tuple[str, ...] = ()  # wheel tags of another processor; empty: ours

    @property
    def version(self) -> str:
        """The version that the wheel's name says."""
        found = _WHEEL.fullmatch(self.wheel.name)
        if found is None:
            raise InstallError(f"{self.wheel}: not a wheel of wharfinger (wharfinger-X.Y.Z-...)")
        return found[1]

    def runs_on(self) -> tuple[str, str]:
        """(interpreter, its version)."""
        ours = f"{sys.version_info[0]}.{sys.version_info[1]}"
        version = self.python_version or ours
        return self.python or f"{sys.base_prefix}/bin/python{version}", version

    def mark(self) -> bytes:
        """What a complete release says of itself; another mark means that it must be made anew."""
        python, version = self.runs_on()
        facts = {
            "version": self.version,
            "wheel_sha256": hashlib.sha256(self.wheel.read_bytes()).hexdigest(),
            "lock_sha256": hashlib.sha256(self.lock.read_bytes()).hexdigest(),
            "python": python,
            "python_version": version,
            "platforms": list(self.platforms),
        }
        return (json.dumps(facts, indent=1) + "\n").encode()


def folder_of(version: str) -> str:
    """Where a version lives."""
    return f"{HOME}/{version}"


def is_complete(machine: Machine, wish: ReleaseWish) -> bool:
    """True when this very release is there, made to its end."""
    mark = machine.at(f"{folder_of(wish.version)}/{MARK}")
    is_there = mark.is_file() and wish.wheel.is_file()
    return is_there and mark.read_bytes() == wish.mark()


def make(machine: Machine, wish: ReleaseWish) -> None:
    """Makes the release beside the others; it gets its name when it is whole."""
    partial = f"{HOME}/{_PARTIAL}{wish.version}"
    machine.remove(partial)
    place = machine.at(partial)
    build(machine, wish, place, final=folder_of(wish.version))
    retired = f"{HOME}/{_PARTIAL}retired"
    machine.remove(retired)
    final = machine.at(folder_of(wish.version))
    if final.exists():  # the same version from another wheel, lock or Python
        final.rename(machine.at(retired))
    place.rename(final)
    machine.remove(retired)


def build(machine: Machine, wish: ReleaseWish, place: Path, *, final: str) -> None:
    """Fills a folder with the environment that will be found at the path `final`."""
    python, version = wish.runs_on()
    site = place / "lib" / f"python{version}" / "site-packages"
    (place / "bin").mkdir(parents=True)
    site.mkdir(parents=True)
    (place / "bin" / "python3").symlink_to(python)
    home = python.rpartition("/")[0]
    (place / "pyvenv.cfg").write_text(
        f"home = {home}\ninclude-system-site-packages = false\nversion = {version}\n"
    )
    scratch = place / "scratch"
    scratch.mkdir()
    for arguments in _pip_arguments(wish, site):
        machine.run(sys.executable, "-m", "pip", *arguments, temporary=scratch)
    shutil.rmtree(scratch)
    _tidy(site)
    _compile(machine, place, site, final=final)
    _write_starter(place / "bin" / "wharf", f"{final}/bin/python3")
    # Written last: a folder without its mark is not a release.
    (place / MARK).write_bytes(wish.mark())


def _pip_arguments(wish: ReleaseWish, site: Path) -> Iterator[list[str]]:
    """Two calls of pip: the locked dependencies by their hashes, then our own wheel alone."""
    common = ["install", "--quiet", "--no-compile", "--disable-pip-version-check"]
    common += ["--no-input", "--only-binary=:all:", "--target", str(site)]
    if wish.platforms:
        _, version = wish.runs_on()
        common += ["--implementation", "cp", "--python-version", version]
        common += ["--abi", f"cp{version.replace('.', '')}"]
        common += [part for tag in wish.platforms for part in ("--platform", tag)]
    source = ["--no-index", "--find-links", str(wish.wheels)] if wish.wheels else []
    yield [*common, *source, "--require-hashes", "-r", str(wish.lock)]
    yield [*common, "--no-index", "--no-deps", str(wish.wheel)]


def _tidy(site: Path) -> None:
    """Drops what pip adds about the place and time of the installing."""
    shutil.rmtree(site / "bin", ignore_errors=True)
    for path in site.glob("*.dist-info/direct_url.json"):
        path.unlink()


def _compile(machine: Machine, place: Path, site: Path, *, final: str) -> None:
    """Compiles once, here: the service may not write, and a read-only root never could."""
    _, version = site.parent.name.split("python")
    if version != f"{sys.version_info[0]}.{sys.version_info[1]}":
        return  # another Python's bytecode; it starts a little slower
    where = ["-s", str(place), "-p", final]
    options = ["-q", "-j", "1", "--invalidation-mode", "unchecked-hash"]
    machine.run(sys.executable, "-m", "compileall", *options, *where, str(site))


def _write_starter(path: Path, python: str) -> None:
    # -I: neither the caller's folder nor variables decide which code the gateway runs.
    lines = [f"#!{python} -I", "import sys", "from ledger.cli import main", "sys.exit(main())"]
    path.write_text("\n".join(lines) + "\n")
    path.chmod(0o755)


def is_current(machine: Machine, version: str) -> bool:
    """True when this version is the one that the units start."""
    return machine.link_target(CURRENT) == version


def switch(machine: Machine, version: str) -> None:
    """Makes a version current; the one before it stays for a roll-back."""
    before = machine.link_target(CURRENT)
    if before not in (None, version):
        machine.link(PREVIOUS, str(before))
    machine.link(CURRENT, version)


def versions(machine: Machine) -> list[str]:
    """Complete releases, the oldest made first."""
    marks = machine.at(HOME).glob(f"[!.]*/{MARK}")
    found = [mark for mark in marks if not mark.parent.is_symlink()]
    return [mark.parent.name for mark in sorted(found, key=lambda mark: mark.stat().st_mtime_ns)]


def version_before(machine: Machine) -> str:
    """The version that a roll-back goes to. Raises InstallError where there is none."""
    current, previous = machine.link_target(CURRENT), machine.link_target(PREVIOUS)
    others = [version for version in versions(machine) if version != current]
    if previous in others:
        return str(previous)
    # A roll-back that was killed between its two links left both on one version.
    if current is None or not others:
        raise InstallError("there is no other version to roll back to")
    return others[-1]


def leftovers(machine: Machine) -> list[str]:
    """Folders that neither runs nor can be rolled back to."""
    kept = {machine.link_target(CURRENT), machine.link_target(PREVIOUS)}
    home = machine.at(HOME)
    names = sorted(path.name for path in home.iterdir()) if home.is_dir() else []
    return [
        f"{HOME}/{name}"
        for name in names
        if (home / name).is_dir() and not (home / name).is_symlink() and name not in kept
    ]
