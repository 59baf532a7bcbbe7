"""The Debian package on an emulated aarch64 machine where systemd runs; at night only.

Installed, set up, a block cut and re-derived, a hung gateway ended by the watchdog, another version
and back, the power turned off and on. The ledger is the same one all the way.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from deploy.debian.package import PackageWish, build
from tests.fakes.arm_box import Box, Said

LOCK = Path(__file__).parents[3] / "requirements" / "gateway.lock"
LIFE_S = 2400  # a processor made of software, beside other tests


@pytest.fixture(scope="module")
def lives(
    tmp_path_factory: pytest.TempPathFactory, wheel: Path, next_wheel: Path, arm_wheels: Path
) -> tuple[Said, Said]:
    folder = tmp_path_factory.mktemp("box")
    payload = folder / "payload"
    payload.mkdir()
    for one in (wheel, next_wheel):
        wish = PackageWish(
            wheel=one,
            wheels=arm_wheels,
            lock=LOCK,
            architecture="arm64",
            python_version="3.11",
            is_quick=True,
        )
        build(wish, payload)
    shutil.copy(Path(__file__).with_name("box_guest.py"), payload / "guest.py")
    box = Box.make(folder, payload)
    return box.live(limit_s=LIFE_S), box.live(limit_s=LIFE_S)


def test_the_machine_is_that_processor_and_nothing_failed_on_it(lives: tuple[Said, Said]) -> None:
    for life in lives:
        assert "well" == life.told["end"], "\n".join(life.lines[-60:])
        assert "aarch64" == life.told["system"]["machine"]
        assert "wharf" not in life.told["system"]["failed"]


def test_an_installed_gateway_waits_for_its_configuration_and_runs_with_it(
    lives: tuple[Said, Said],
) -> None:
    told = lives[0].told
    assert "inactive" == told["idle"]
    assert {"ActiveState": "active", "User": "wharf", "NoNewPrivileges": "yes"} == told["unit"]


def test_what_was_acknowledged_is_in_blocks_that_verify(lives: tuple[Said, Said]) -> None:
    held = lives[0].told["taken"]["ledger"]
    assert [] == held["differences"]
    assert held["blocks"] >= 1


def test_a_hung_gateway_is_ended_by_the_watchdog_and_started_again(
    lives: tuple[Said, Said],
) -> None:
    told = lives[0].told["watchdog"]
    assert told["noticed"]
    assert told["restarts"] >= 1


def test_upgrade_rollback_and_a_restart_of_the_machine_keep_the_ledger(
    lives: tuple[Said, Said],
) -> None:
    steps = [lives[0].told[word] for word in ("taken", "upgraded", "back")]
    steps.append(lives[1].told["again"])
    assert ["0.1.0", "0.2.0", "0.1.0", "0.1.0"] == [step["version"] for step in steps]
    assert all(step["ledger"]["differences"] == [] for step in steps)
    blocks = [step["ledger"]["blocks"] for step in steps]
    assert blocks == sorted(set(blocks)), "each life adds blocks to those before"
