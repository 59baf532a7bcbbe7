"""What a box of one gibibyte should not hold in memory is not loaded."""

import subprocess
import sys

import pytest

GATEWAY = "import gateway.cli, gateway.compose, gateway.doctor, gateway.key_cli"
SIGNER = "import firmware_bridge.keys.signer_process"


@pytest.mark.parametrize(
    ("imports", "heavy"),
    [(GATEWAY, {"grpc"}), (SIGNER, {"asyncio", "cryptography", "lmdb", "logging"})],
    ids=["gateway without a chain machine", "signer process"],
)
def test_heavy_parts_are_loaded_where_they_are_used(imports: str, heavy: set[str]) -> None:
    script = f"{imports}, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    assert set() == heavy & set(done.stdout.split())
