"""A process that does the ledger's work in groups, for others to time and to slow down.

    python -m tools.bench.worker own|sqlite FOLDER GROUP

It reads a number of groups from each line of its input, and answers in JSON: wall and processor
seconds that they took, sealed and signed, and the seconds of each part.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tools.bench.durable import OwnFiles, SqliteFile
from tools.bench.load import SENSORS, Line, Sensors
from tools.bench.path import LedgerPath
from tools.bench.session import BenchError, Session, end

ROOT = Path(__file__).resolve().parents[2]


class Worker:
    """The process from outside."""

    def __init__(
        self,
        session: Session,
        kind: str,
        *,
        group: int,
        env: dict[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        self.group = group
        folder = folder or session.fresh_folder(f"worker-{kind}")
        self._child = session.start(
            [sys.executable, "-m", "tools.bench.worker", kind, folder, str(group)],
            cwd=ROOT,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None,
        )
        self._line()

    def end(self) -> None:
        """Ends it now, so that it lets go of its files."""
        end(self._child)

    def _line(self) -> str:
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        if not line:
            raise BenchError("a worker ended early, see above")
        return line

    def run(self, groups: int) -> dict[str, Any]:
        """What so many groups took."""
        assert self._child.stdin is not None
        self._child.stdin.write(f"{groups}\n")
        self._child.stdin.flush()
        answer: dict[str, Any] = json.loads(self._line())
        return answer

    def rate(self, groups: int) -> float:
        """Readings per second over so many groups."""
        return self.group * groups / float(self.run(groups)["seconds"])


def work(path: LedgerPath, group: int, groups: int) -> dict[str, Any]:
    """Does so many groups; what they took."""
    batches = [path.line.take(group) for _ in range(groups)]
    path.seconds.clear()
    cpu_s, begun = time.process_time(), time.perf_counter()
    for batch in batches:
        path.group(batch)
    path.seal()
    return {
        "seconds": time.perf_counter() - begun,
        "cpu_s": time.process_time() - cpu_s,
        "parts": dict(path.seconds),
    }


def main() -> int:
    """Serves until its input ends."""
    kind, folder, group = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    durable = OwnFiles(folder) if kind == "own" else SqliteFile(folder)
    path = LedgerPath(durable, Line(Sensors()))
    path.open_slots(SENSORS)
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(work(path, group, int(line))), flush=True)
    path.close()
    durable.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
