"""The installer's step for a TPM, on a TPM in software."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from deploy.raspberrypi.installer.machine import Machine
from deploy.raspberrypi.installer.tpm import DEVICE, lockout_step
from tests.fakes.soft_tpm import SoftTpm


class WithTpm(Machine):
    """A machine in a folder that reaches the TPM."""

    def __init__(self, root: Path, tpm: SoftTpm) -> None:
        super().__init__(root)
        self._tpm = tpm
        self.at(DEVICE).parent.mkdir()
        self.at(DEVICE).touch()

    def run(self, *command: str, temporary: Path | None = None) -> str:
        environment = {**os.environ, **self._tpm.environment}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return done.stdout


def test_the_lockout_is_set_once_and_left_to_an_owner_who_guards_it(
    tmp_path: Path, tpm: SoftTpm
) -> None:
    machine = WithTpm(tmp_path, tpm)
    step = lockout_step(tpm.environment["TPM2TOOLS_TCTI"])
    tpm.run("tpm2_dictionarylockout", "-s", "-n", "3", "-t", "600", "-l", "600")
    assert not step.is_done(machine)
    step.act(machine)
    assert step.is_done(machine)
    tpm.run("tpm2_dictionarylockout", "-s", "-n", "3", "-t", "600", "-l", "600")
    tpm.run("tpm2_changeauth", "-c", "lockout", "guarded")
    try:
        assert step.is_done(machine)
    finally:
        tpm.run("tpm2_changeauth", "-c", "lockout", "-p", "guarded", "")
        step.act(machine)


def test_without_a_tpm_there_is_nothing_to_do(tmp_path: Path) -> None:
    assert lockout_step().is_done(Machine(tmp_path))
