"""A real PostgreSQL in a folder of its own, on a loopback port, for as long as a test runs."""

from __future__ import annotations

import os
import secrets
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from gateway.demo.ports import free_port

PROGRAMS = Path("/usr/lib/postgresql")


def _program(name: str) -> str:
    found = sorted(PROGRAMS.glob(f"*/bin/{name}"))
    assert found, "postgresql is missing: apt-get install postgresql"
    return str(found[-1])


def _as_postgres(command: Sequence[str]) -> list[str]:
    """PostgreSQL refuses to run as root: then it is its own user that runs it."""
    if os.geteuid() != 0:
        return list(command)
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *command]


def _run(*command: str) -> None:
    result = subprocess.run(
        _as_postgres(command), capture_output=True, text=True, check=False, timeout=60, cwd="/"
    )
    assert result.returncode == 0, result.stdout + result.stderr


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of an empty database, with a password; stopped and removed at the end."""
    with tempfile.TemporaryDirectory(prefix="wharf-pg-") as name:
        folder, port, password = Path(name), free_port(), secrets.token_hex(12)
        folder.chmod(0o777)
        (folder / "password").write_text(password, encoding="ascii")
        data = folder / "data"
        options = f"-h 127.0.0.1 -p {port} -k {folder} -c fsync=off"
        _run(
            _program("initdb"), "-D", str(data), "-U", "wharf", "--auth=scram-sha-256",
            f"--pwfile={folder / 'password'}", "--no-sync", "-E", "UTF8", "--locale=C",
        )  # fmt: skip  # a command line
        control = [_program("pg_ctl"), "-D", str(data), "-w"]
        _run(*control, "-l", str(folder / "log"), "-o", options, "start")
        try:
            yield f"postgresql://wharf:{password}@127.0.0.1:{port}/postgres"
        finally:
            _run(*control, "-m", "immediate", "stop")
