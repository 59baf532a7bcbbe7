"""Pin what pyproject.toml asks for: `python tools/lock.py` writes requirements/*.lock.

Every file is a subset of dev.lock, so that a gateway in the field runs the versions that the
tests ran. Hashes are kept; addresses of package indexes are not, because each site has its own.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements"
EXTRAS = (
    "dev",
    "build",
    "demo",
    "gateway",
    "ble",
    "neighbours",
    "node",
    "portal",
)  # dev first: the others follow it
QUIET = (
    "--quiet",
    "--generate-hashes",
    "--allow-unsafe",
    "--strip-extras",
    "--no-header",
    "--no-annotate",
    "--no-emit-index-url",
    "--no-emit-find-links",
    "--no-emit-trusted-host",
)
OURSELVES = re.compile(r"^wharfinger @ .*\n", re.MULTILINE)
COMMENT = re.compile(r"^#.*\n", re.MULTILINE)


def without_ourselves(text: str) -> str:
    """Return the lock's text less the project's own line: an extra that names another extra."""
    return COMMENT.sub("", OURSELVES.sub("", text))


def compile_lock(name: str, arguments: list[str]) -> None:
    """Write requirements/NAME.lock with pip-compile. Raises CalledProcessError."""
    target = REQUIREMENTS / f"{name}.lock"
    program = Path(sys.executable).with_name("pip-compile")
    command = [str(program), *QUIET, *arguments, "-o", str(target), "pyproject.toml"]
    subprocess.run(command, cwd=ROOT, check=True)
    target.write_text(without_ourselves(target.read_text()))


def main() -> int:
    """Write all lock files; with `--upgrade` take the newest versions allowed."""
    upgrade = ["--upgrade"] if "--upgrade" in sys.argv[1:] else []
    REQUIREMENTS.mkdir(exist_ok=True)
    for extra in EXTRAS:
        follow = [] if extra == "dev" else ["-c", "requirements/dev.lock"]
        compile_lock(extra, ["--extra", extra, *follow, *(upgrade if extra == "dev" else [])])
    compile_lock("base", ["-c", "requirements/dev.lock"])
    print(f"wrote {len(EXTRAS) + 1} files in {REQUIREMENTS.relative_to(ROOT)}/")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
