"""A private SoftHSM2 token in a folder: for the demo, for trying out and for tests. No hardware.

The caller sets SOFTHSM2_CONF to the returned configuration for the programs that use the token.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from firmware_bridge.errors import KeyHolderError

CONF_VARIABLE: Final = "SOFTHSM2_CONF"
_MODULES: Final = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftToken:
    """Where a private token lives."""

    label: str
    conf_path: Path  # the value for SOFTHSM2_CONF
    tokens_path: Path
    pin_path: Path
    module_path: str

    def uri(self, object_label: str) -> str:
        """The `pkcs11:` URI of a key on this token."""
        return (
            f"pkcs11:token={quote(self.label)};object={quote(object_label)}"
            f"?module-path={quote(self.module_path)}&pin-source=file:{quote(str(self.pin_path))}"
        )


def softhsm_module() -> str | None:
    """The path of SoftHSM's library, or None where it (or its tool) is not installed."""
    if shutil.which("softhsm2-util") is None:
        return None
    return next((path for path in _MODULES if Path(path).exists()), None)


def make_token(folder: Path, *, label: str, pin: str) -> SoftToken:
    """A fresh token in this folder, which must not hold one yet. Raises KeyHolderError."""
    module = softhsm_module()
    if module is None:
        raise KeyHolderError("softhsm2-util or libsofthsm2.so is not installed")
    tokens, conf, pin_file = folder / "tokens", folder / "softhsm2.conf", folder / "pin"
    if tokens.exists():
        raise KeyHolderError(f"{tokens} is there already")
    tokens.mkdir(parents=True, mode=0o700)
    conf.write_text(
        f"directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\n"
    )
    pin_file.touch(mode=0o600)
    pin_file.write_text(pin)
    _init_token(conf, label=label, pin=pin)
    return SoftToken(
        label=label, conf_path=conf, tokens_path=tokens, pin_path=pin_file, module_path=module
    )


def _init_token(conf: Path, *, label: str, pin: str) -> None:
    # The tool takes PINs as arguments only; a soft token's PIN guards nothing that its folder does
    # not.
    command = ["softhsm2-util", "--init-token", "--free", "--label", label]
    done = subprocess.run(
        [*command, "--pin", pin, "--so-pin", pin],
        env={**os.environ, CONF_VARIABLE: str(conf)},
        capture_output=True,
        check=False,
        text=True,
    )
    if done.returncode != 0:
        raise KeyHolderError(f"softhsm2-util failed: {done.stderr.strip()[:200]}")
