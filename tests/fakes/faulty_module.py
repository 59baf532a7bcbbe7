"""A PKCS#11 module that fails on demand, in front of a SoftHSM token (faulty_pkcs11.c)."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from firmware_bridge.keys.softhsm import CONF_VARIABLE, SoftToken, make_token

SOURCE = Path(__file__).with_name("faulty_pkcs11.c")


def build_module(folder: Path) -> Path:
    """The compiled module."""
    made = folder / "faulty_pkcs11.so"
    command = ["gcc", "-O1", "-Wall", "-shared", "-fPIC", "-o", str(made), str(SOURCE), "-ldl"]
    subprocess.run(command, check=True, capture_output=True)
    return made


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultyToken:
    """A token whose module does what `fails` says."""

    module: Path
    token: SoftToken
    control: Path
    log: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a signer process needs."""
        return {
            CONF_VARIABLE: str(self.token.conf_path),
            "FAULTY_MODULE": self.token.module_path,
            "FAULTY_CONTROL": str(self.control),
            "FAULTY_LOG": str(self.log),
        }

    @property
    def pin_path(self) -> Path:
        """The PIN's file."""
        return self.token.pin_path

    def uri(self, object_label: str = "ledger") -> str:
        """The key's URI through the failing module."""
        return self.token.uri(object_label).replace(self.token.module_path, str(self.module))

    def fail(self, *lines: str) -> None:
        """From now on: lines like "C_Sign delay 70 700"; none: all is well."""
        new = self.control.with_suffix(".new")
        new.write_text("".join(f"{line}\n" for line in lines))
        new.replace(self.control)

    @contextmanager
    def failing(self, *lines: str) -> Iterator[None]:
        """Fails inside the block."""
        self.fail(*lines)
        try:
            yield
        finally:
            self.fail()

    def asked(self, function: str) -> list[int]:
        """The results of all calls of a function so far."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        rows = [line.split() for line in lines]
        return [int(result) for name, result in rows if name == function]

    def calls(self) -> Counter[str]:
        """How often each function was called."""
        return Counter(line.split()[0] for line in self.log.read_text().splitlines())


def make_faulty_token(module: Path, folder: Path) -> FaultyToken:
    """A fresh token behind the module."""
    return FaultyToken(
        module=module,
        token=make_token(folder / "token", label="wharf", pin="1234"),
        control=folder / "control",
        log=folder / "log",
    )
