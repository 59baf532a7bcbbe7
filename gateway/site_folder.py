"""Where a gateway keeps the configurations that were sent to it: `site/` in its data directory.

state              which version runs, which was kept, what is on trial (`gateway.site`)
<version>.toml     the texts; the running and the kept one stay
override.toml      what somebody on the spot put above them
"""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from gateway.config import (
    ORIGIN_OVERRIDE,
    ORIGIN_SITE,
    GatewayConfig,
    Origin,
    parse_over,
    read_config,
)
from gateway.errors import ConfigError
from gateway.site import (
    REASON_CHARACTERS_MAX,
    Cause,
    SiteState,
    decode_state,
    encode_state,
    returned,
    started,
)

STATE_NAME: Final = "state"
OVERRIDE_NAME: Final = "override.toml"
FOLDER_NAME: Final = "site"


class SiteFolder:
    """The folder of one gateway. Every write is whole or not there after a power cut."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / FOLDER_NAME

    def state(self) -> SiteState:
        """The saved state; a fresh one where there is none. Raises SiteStateError."""
        path = self._folder / STATE_NAME
        return decode_state(path.read_bytes()) if path.exists() else SiteState()

    def save(self, state: SiteState) -> None:
        """Keeps the state, then lets go of texts that nothing needs."""
        _write(self._folder / STATE_NAME, encode_state(state))
        wanted = {f"{version}.toml" for version in (state.running, state.kept)}
        for path in self._folder.glob("[0-9]*.toml"):
            if path.name not in wanted:
                path.unlink(missing_ok=True)

    def change(self, change: Callable[[SiteState], SiteState]) -> SiteState:
        """Saves and returns what the change makes of the saved state."""
        state = self.state()
        changed = change(state)
        if changed != state:
            self.save(changed)
        return changed

    def give_up_trial(self, reason: str) -> bool:
        """Goes back where a version on trial did not even start; False where none is on trial."""
        if self.state().trial is None:
            return False
        self.change(lambda state: returned(state, Cause.CRASHED, reason))
        return True

    def put_text(self, version: int, text: bytes) -> None:
        """Keeps a version's text."""
        _write(self._folder / f"{version}.toml", text)

    def begin_override(self, config: GatewayConfig, file: Path, reason: str) -> None:
        """Puts a file above all versions; raises ConfigError where the box could not run on it."""
        try:
            text = file.read_bytes()
        except OSError as error:
            raise ConfigError(file, None, "file", f"cannot be read ({error.strerror})") from error
        if len(reason) > REASON_CHARACTERS_MAX or not reason.isprintable():
            mend = f"must be at most {REASON_CHARACTERS_MAX} printable characters"
            raise ConfigError("--reason", None, "reason", mend)
        origin = Origin(kind=ORIGIN_OVERRIDE, reason=reason, text=text)
        parse_over(config.path, origin, str(file))
        _write(self._folder / OVERRIDE_NAME, text)
        self.change(lambda state: replace(state, override=reason))

    def end_override(self) -> None:
        """Lets the last version, or the box's own file, count again."""
        self.change(lambda state: replace(state, override=None))

    def origin(self, state: SiteState) -> Origin:
        """What stands above the box's own file in this state."""
        if state.override is not None:
            text = self._read(OVERRIDE_NAME)
            return Origin(kind=ORIGIN_OVERRIDE, reason=state.override, text=text)
        if state.running:
            text = self._read(f"{state.running}.toml")
            return Origin(kind=ORIGIN_SITE, version=state.running, text=text)
        return Origin()

    def _read(self, name: str) -> bytes:
        path = self._folder / name
        try:
            return path.read_bytes()
        except OSError as error:
            raise ConfigError(path, None, "file", f"cannot be read ({error.strerror})") from error


def read_effective(path: Path) -> GatewayConfig:
    """The configuration that this box would run on now. Raises ConfigError, SiteStateError."""
    own = read_config(path)
    folder = SiteFolder(own.data_dir)
    return _over(own, folder, folder.state())


def read_to_start(path: Path) -> GatewayConfig:
    """The configuration to start on; a version that cannot be read gives way to the one before.

    Raises ConfigError where the box's own file is wrong, or an override is.
    """
    own = read_config(path)
    folder = SiteFolder(own.data_dir)
    state = folder.change(started)
    while True:
        try:
            return _over(own, folder, state)
        except ConfigError as error:
            if state.override is not None or not state.running:
                raise
            text = str(error)
            state = folder.change(lambda held: returned(held, Cause.UNREADABLE, text))  # noqa: B023  # called at once


def _over(own: GatewayConfig, folder: SiteFolder, state: SiteState) -> GatewayConfig:
    origin = folder.origin(state)
    if origin.text is None:
        return own
    return parse_over(own.path, origin, label_of(origin))


def label_of(origin: Origin) -> str:
    """How errors name a text that did not come from the box's file."""
    if origin.kind == ORIGIN_OVERRIDE:
        return "override"
    return f"site configuration {origin.version}"


def _write(path: Path, data: bytes) -> None:
    """Replaces the file whole: new bytes synced, then renamed, then the folder synced."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    with fresh.open("wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
    fresh.chmod(0o600)
    fresh.replace(path)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
