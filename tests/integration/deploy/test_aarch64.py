"""What can be said of the Raspberry Pi's processor on another: every locked wheel exists for it."""

from __future__ import annotations

import re
from pathlib import Path

LOCK = Path(__file__).parents[3] / "requirements" / "gateway.lock"
COMPILED = {"cbor2", "cffi", "cryptography", "google_crc32c", "grpcio", "lmdb", "pynacl"}


def test_every_locked_package_has_a_wheel_for_aarch64(arm_wheels: Path) -> None:
    # pip was told to refuse sources, so a missing wheel would have failed the download.
    pins = re.findall(r"^(\S+)==(\S+)", LOCK.read_text(), flags=re.MULTILINE)
    wanted = {(name.lower().replace("-", "_"), version) for name, version in pins}
    names = [path.name for path in arm_wheels.iterdir()]
    found = {tuple(name.lower().split("-")[:2]) for name in names}
    assert wanted == found
    compiled = {name.lower().split("-")[0] for name in names if "aarch64" in name}
    assert compiled >= COMPILED
