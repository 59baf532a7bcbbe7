"""The Debian package: built without network, its list of files, its scripts, its processor."""

from __future__ import annotations

import hashlib
import re
import subprocess
from pathlib import Path

import pytest

from deploy.debian.package import PackageWish, build

ROOT = Path(__file__).parents[3]
LOCK = ROOT / "requirements" / "gateway.lock"
ELF_AARCH64 = 183  # e_machine
SITE = "./opt/wharf/0.1.0/lib/python3.11/site-packages/"
OUTSIDE = {
    "./etc/mosquitto/conf.d/wharf.conf",
    "./opt/wharf/0.1.0/bin/python3",
    "./opt/wharf/0.1.0/bin/wharf",
    "./opt/wharf/0.1.0/pyvenv.cfg",
    "./opt/wharf/0.1.0/release.json",
    "./opt/wharf/current",
    "./usr/bin/wharf",
    "./usr/lib/systemd/journald.conf.d/wharf.conf",
    "./usr/lib/systemd/system/wharf-chain.service",
    "./usr/lib/systemd/system/wharf-gateway.service",
    "./usr/lib/sysusers.d/wharf-chain.conf",
    "./usr/lib/sysusers.d/wharf.conf",
    "./usr/lib/udev/rules.d/99-wharf.rules",
    "./usr/share/doc/wharfinger/copyright",
    "./usr/share/doc/wharfinger/install-on-a-pi.md",
    "./usr/share/wharfinger/deploy/raspberrypi/installer/__init__.py",
    "./usr/share/wharfinger/deploy/raspberrypi/installer/broker.py",
    "./usr/share/wharfinger/deploy/raspberrypi/installer/machine.py",
}


def dpkg(*words: str | Path) -> str:
    command = ["dpkg-deb", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def make(folder: Path, wheel: Path, wheels: Path, lock: Path = LOCK) -> Path:
    wish = PackageWish(
        wheel=wheel,
        wheels=wheels,
        lock=lock,
        architecture="arm64",
        python_version="3.11",
        is_quick=True,
    )
    return build(wish, folder)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory, wheel: Path, arm_wheels: Path) -> Path:
    # An index that is asked would fail: build() names only the folder of wheels.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/")
        patch.setenv("SOURCE_DATE_EPOCH", "1577836800")
        return make(tmp_path_factory.mktemp("deb"), wheel, arm_wheels)


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory, package: Path) -> Path:
    root = tmp_path_factory.mktemp("throw-away-root")
    dpkg("-x", package, root)
    return root


def test_it_holds_these_files_and_no_others(package: Path) -> None:
    rows = [line.split(maxsplit=5) for line in dpkg("-c", package).splitlines()]
    files = {row[5].partition(" -> ")[0] for row in rows if not row[0].startswith("d")}
    assert {path for path in files if not path.startswith(SITE)} == OUTSIDE
    packages = {path.removeprefix(SITE).partition("/")[0] for path in files} & {
        "ledger",
        "logistics",
        "firmware_bridge",
        "gateway",
        "consortium",
        "portal",
        "grpc",
        "lmdb",
        "serial",
        "nacl",
    }
    assert len(packages) == 10
    assert {row[1] for row in rows} == {"root/root"}


def test_nothing_in_it_can_be_written_by_others(package: Path) -> None:
    rows = [line.split() for line in dpkg("-c", package).splitlines()]
    assert [row for row in rows if row[0][0] != "l" and "w" in row[0][4:]] == []


def test_it_says_what_it_needs(package: Path) -> None:
    assert dpkg("-f", package, "Package", "Version", "Architecture").split() == [
        "Package:",
        "wharfinger",
        "Version:",
        "0.1.0",
        "Architecture:",
        "arm64",
    ]
    depends = dpkg("-f", package, "Depends")
    assert "python3 (>= 3.11), python3 (<< 3.12)" in depends
    assert "mosquitto" in depends


def test_in_a_throw_away_root_its_links_lead_to_its_own_program(unpacked: Path) -> None:
    assert str((unpacked / "usr" / "bin" / "wharf").readlink()) == "/opt/wharf/current/bin/wharf"
    assert str((unpacked / "opt" / "wharf" / "current").readlink()) == "0.1.0"
    starter = unpacked / "opt" / "wharf" / "current" / "bin" / "wharf"
    assert starter.stat().st_mode & 0o777 == 0o755
    assert str((starter.parent / "python3").readlink()) == "/usr/bin/python3.11"


def test_every_library_in_it_is_for_the_processor_that_it_names(unpacked: Path) -> None:
    libraries = [path for path in unpacked.rglob("*.so*") if path.is_file()]
    assert len(libraries) > 8
    machines = {int.from_bytes(path.read_bytes()[18:20], "little") for path in libraries}
    assert machines == {ELF_AARCH64}


def test_it_tells_nothing_of_the_machine_that_built_it(unpacked: Path) -> None:
    texts = [path for path in unpacked.rglob("*") if path.suffix in {".json", ".cfg", ""}]
    found = [p for p in texts if p.is_file() and str(ROOT).encode() in p.read_bytes()]
    assert found == []


def test_built_again_it_is_the_same_byte_for_byte(
    tmp_path: Path, wheel: Path, arm_wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1577836800")
    small = tmp_path / "small.lock"
    pins = re.findall(r"^\S+==.*(?:\n .*)*", LOCK.read_text(), flags=re.MULTILINE)
    small.write_text("\n".join(pin for pin in pins if pin.startswith(("cbor2", "pyserial"))))
    built = [make(tmp_path / name, wheel, arm_wheels, small) for name in ("one", "two")]
    assert len({hashlib.sha256(path.read_bytes()).hexdigest() for path in built}) == 1


def test_its_scripts_are_shell_that_parses(package: Path, tmp_path: Path) -> None:
    dpkg("-e", package, tmp_path)
    scripts = [tmp_path / name for name in ("preinst", "postinst", "prerm", "postrm")]
    for script in scripts:
        subprocess.run(["sh", "-n", script], check=True)
        assert script.read_text().startswith("#!/bin/sh\nset -e\n")
