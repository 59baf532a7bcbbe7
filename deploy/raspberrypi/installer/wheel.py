"""Which wheel to install: the one named, the newest in dist/, or one built from this clone."""

import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Final

from deploy.raspberrypi.installer.machine import InstallError, Machine
from deploy.raspberrypi.installer.steps import Step

# The clone's own build backend, found in the folder that the first argument names.
_BUILD: Final = """
import os, sys
sys.path.insert(0, sys.argv[1])
os.chdir(sys.argv[2])
from hatchling.build import build_wheel
build_wheel(sys.argv[3])
"""


def find_wheel(project: Path, named: Path | None) -> Path:
    """The wheel's path; it need not be there yet when nobody named it. Raises InstallError."""
    if named is not None:
        if not named.is_file():
            raise InstallError(f"{named}: there is no such wheel")
        return named.absolute()
    dist = project / "dist"
    built = sorted(dist.glob("wharfinger-*.whl"), key=lambda path: path.stat().st_mtime_ns)
    about = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    version = about["project"]["version"]
    return built[-1] if built else dist / f"wharfinger-{version}-py3-none-any.whl"


def build_step(project: Path, wheel: Path) -> Step:
    """The wheel built from the clone, if it is not there."""
    return Step(
        words=f"wheel {wheel}",
        is_done=lambda _: wheel.is_file(),
        act=lambda machine: _build(machine, project),
    )


def _build(machine: Machine, project: Path) -> None:
    """Builds into dist/ with the locked build tools, in a folder that is gone afterwards."""
    lock = project / "requirements" / "build.lock"
    with tempfile.TemporaryDirectory(prefix="wharf-build-") as folder:
        tools = Path(folder) / "tools"
        options = ("--quiet", "--disable-pip-version-check", "--only-binary=:all:")
        target = ("--target", str(tools), "--require-hashes", "-r", str(lock))
        pip = (sys.executable, "-m", "pip", "install", *options, *target)
        machine.run(*pip, temporary=Path(folder))
        dist = project / "dist"
        machine.run(sys.executable, "-c", _BUILD, str(tools), str(project), str(dist))
