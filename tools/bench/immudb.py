"""immudb from its Go module, built into the cache: the server, and a client that times SetAll."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from gateway.demo.ports import free_port
from tools.bench.mqtt_load import is_listening
from tools.bench.processes import wait_until
from tools.bench.session import BenchError, Session

VERSION: Final = "v1.10.0"
MODULE: Final = "github.com/codenotary/immudb"
CLIENT: Final = Path(__file__).with_name("immudb_client.go")


def built(session: Session) -> Path:
    """The folder with `immudb` and `client`, built first where they are missing."""
    folder = session.cache / f"immudb-{VERSION}"
    if (folder / "client").exists():
        return folder
    go = shutil.which("go", path=f"{os.environ.get('PATH', '')}:/usr/local/go/bin")
    if go is None:
        raise BenchError("no Go compiler: install Go 1.24 or newer (sudo apt-get install golang)")
    session.say(f"  building immudb {VERSION} into {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(CLIENT, folder / "client.go")
    (folder / "go.mod").write_text(f"module bench\n\ngo 1.24\n\nrequire {MODULE} {VERSION}\n")
    try:
        where = _go(go, folder, "mod", "download", "-json", f"{MODULE}@{VERSION}")
        source = json.loads(where)["Dir"]
        # The server with the versions that its own module file names, some of them replaced.
        _go(go, Path(source), "build", "-o", str(folder / "immudb"), "./cmd/immudb")
        _go(go, folder, "mod", "tidy", "-e")
        _go(go, folder, "build", "-o", "client", "client.go")
    except (OSError, subprocess.CalledProcessError) as error:
        raise BenchError(
            f"immudb could not be built ({error}); it needs the Go module proxy: try "
            f"`go mod download {MODULE}@{VERSION}` and see what it says"
        ) from error
    return folder


def _go(go: str, folder: Path, *words: str) -> str:
    done = subprocess.run(
        [go, *words], cwd=folder, check=True, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "GOFLAGS": "-buildvcs=false", "GOWORK": "off"},
    )  # fmt: skip  # a call a block
    return done.stdout


class Immudb:
    """A client that sends batches of 1000 to a server of its own, or writes the embedded store."""

    def __init__(self, session: Session, folder: Path, *, embedded: bool, value_bytes: int) -> None:
        data = session.fresh_folder("immudb")
        place = ["embedded", str(data)] if embedded else ["server", *_serve(session, folder, data)]
        self._child = session.start(
            [folder / "client", *place, str(value_bytes)],
            cwd=data,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None,
        )
        self._line()

    def _line(self) -> str:
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        if not line:
            raise BenchError("immudb's client ended early, see above")
        return line

    def rate(self, batches: int) -> float:
        """Values per second over so many batches of 1000."""
        assert self._child.stdin is not None
        self._child.stdin.write(f"{batches}\n")
        self._child.stdin.flush()
        return batches * 1000 / float(self._line())


def _serve(session: Session, folder: Path, data: Path) -> tuple[str, str]:
    """Host and port of a fresh server with its defaults: synced writes, gRPC."""
    port = free_port()
    quiet = ["--metrics-server=false", "--web-server=false", "--pgsql-server=false"]
    session.start(
        [folder / "immudb", "--dir", data, "--address", "127.0.0.1", "--port", str(port), *quiet],
        cwd=data,
    )
    wait_until(lambda: is_listening(port), "immudb listens")
    return "127.0.0.1", str(port)
