"""A TPM 2.0 in software (swtpm) with a resource manager on a bus of its own, and a PKCS#11 token
in it, made by tpm2-pkcs11's own tool. It proves code, not security.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from gateway.demo.ports import free_ports

SYSTEM_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
MODULE_NAME = "libtpm2_pkcs11.so.1"
MODULE_FOLDERS = ("x86_64-linux-gnu", "aarch64-linux-gnu", "arm-linux-gnueabihf")
SO_PIN = "87654321"
START_S_MAX = 10.0


def program(name: str) -> str:
    """The path of a program that the tests need."""
    found = shutil.which(name, path=SYSTEM_PATH)
    assert found, f"{name} is not installed; `make test` names its Debian package"
    return found


def module_path() -> str:
    """The PKCS#11 module of tpm2-pkcs11."""
    paths = [Path("/usr/lib") / folder / MODULE_NAME for folder in MODULE_FOLDERS]
    return str(next(path for path in paths if path.exists()))


def until(condition: Callable[[], bool], what: str) -> None:
    """Returns when another program has come so far; it sends us no event."""
    deadline = time.monotonic() + START_S_MAX
    while not condition():
        assert time.monotonic() < deadline, f"{what}: nothing in {START_S_MAX} s"
        time.sleep(0.01)


def listens(port: int) -> bool:
    """Whether something takes connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class SoftTpm:
    """A TPM that can be switched off, on, and set back to an earlier state."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.state = folder, folder / "state"
        self.state.mkdir(parents=True)
        self._bus, self.bus_address = _private_bus(folder)
        self._tpm: subprocess.Popen[bytes] | None = None
        self._manager: subprocess.Popen[bytes] | None = None
        self.on()
        # A loss of power while a key is in use counts as a wrong PIN; swtpm comes with three tries.
        self.run("tpm2_dictionarylockout", "-s", "-n", "32", "-t", "600", "-l", "600")

    @property
    def environment(self) -> dict[str, str]:
        """What a program needs to reach this TPM."""
        tcti = "tabrmd:bus_type=session"
        return {
            "DBUS_SESSION_BUS_ADDRESS": self.bus_address,
            "TPM2_PKCS11_TCTI": tcti,
            "TPM2TOOLS_TCTI": tcti,
        }

    def on(self) -> None:
        """Power on: a start after a loss of power, as the TPM sees it."""
        port, _ = free_ports(2)  # the next one is the control channel's
        self._tpm = _quiet(
            [
                program("swtpm"), "socket", "--tpm2", "--tpmstate", f"dir={self.state}",
                "--server", f"type=tcp,port={port}", "--ctrl", f"type=tcp,port={port + 1}",
                "--flags", "not-need-init,startup-clear",
            ]
        )  # fmt: skip  # options in pairs
        until(lambda: listens(port + 1), "swtpm")
        tcti = f"swtpm:host=127.0.0.1,port={port}"
        self._manager = _quiet(
            [program("tpm2-abrmd"), "--session", "--allow-root", "--flush-all", "--tcti", tcti],
            self.environment,
        )
        until(lambda: self.run("tpm2_getrandom", "4", check=False) == 0, "tpm2-abrmd")

    def off(self) -> None:
        """Power off, without a word to the TPM."""
        for process in (self._manager, self._tpm):
            if process is not None:
                process.kill()
                process.wait()
        self._manager = self._tpm = None

    def ensure_on(self) -> None:
        """On, if a test left it off."""
        if self._tpm is None:
            self.on()

    def close(self) -> None:
        """Off, for good."""
        self.off()
        self._bus.kill()
        self._bus.wait()

    def run(self, name: str, *arguments: str, check: bool = True) -> int:
        """The exit code of a TPM tool."""
        done = subprocess.run(
            [program(name), *arguments],
            env={**os.environ, **self.environment},
            capture_output=True,
            check=False,
        )
        assert not check or done.returncode == 0, done.stderr.decode()
        return done.returncode


def _private_bus(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    socket_path = folder / "bus"
    address = f"unix:path={socket_path}"
    process = _quiet(
        [program("dbus-daemon"), "--session", "--nofork", "--nopidfile", f"--address={address}"]
    )
    until(socket_path.exists, "dbus-daemon")
    return process, address


def _quiet(
    command: Sequence[str], environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TpmToken:
    """A PKCS#11 token in a TPM: wrapped keys in a folder, useless without that TPM."""

    tpm: SoftTpm
    store_path: Path
    pin_path: Path
    label: str = "wharf"

    @property
    def module_path(self) -> str:
        """The library."""
        return module_path()

    @property
    def environment(self) -> dict[str, str]:
        """What a signer process needs."""
        return {**self.tpm.environment, "TPM2_PKCS11_STORE": str(self.store_path)}

    def uri(self, object_label: str) -> str:
        """The `pkcs11:` URI of a key on this token."""
        return (
            f"pkcs11:token={quote(self.label)};object={quote(object_label)}"
            f"?module-path={quote(self.module_path)}&pin-source=file:{quote(str(self.pin_path))}"
        )

    def copy(self, folder: Path) -> TpmToken:
        """The same token's store elsewhere: what is made in one copy is not in the other."""
        shutil.copytree(self.store_path, folder / "store")
        pin = folder / "pin"
        shutil.copy(self.pin_path, pin)
        return TpmToken(tpm=self.tpm, store_path=folder / "store", pin_path=pin, label=self.label)


def make_tpm_token(tpm: SoftTpm, folder: Path, *, label: str, pin: str) -> TpmToken:
    """A token without keys."""
    store = folder / "store"
    store.mkdir(parents=True)
    pin_path = folder / "pin"
    pin_path.touch(mode=0o600)
    pin_path.write_text(pin)
    tpm.run("tpm2_ptool", "init", "--path", str(store))
    tpm.run(
        "tpm2_ptool", "addtoken", "--pid", "1", "--label", label,
        "--userpin", pin, "--sopin", SO_PIN, "--path", str(store),
    )  # fmt: skip  # options in pairs
    return TpmToken(tpm=tpm, store_path=store, pin_path=pin_path, label=label)


def use(environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Has this process, and what it starts, reach a token."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
