"""What a measuring part is given: scratch space, a cache for peers, children that end with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

CHILD_END_S = 10


class BenchError(Exception):
    """Something cannot be measured here; the text names what to do."""


class Session:
    """One run. Everything started and made in it is gone when it is left, at Ctrl-C too."""

    def __init__(self, *, repeats: int, cache: Path, folder: Path | None = None) -> None:
        self.repeats, self.cache = repeats, cache
        self._folder = folder
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        made = tempfile.TemporaryDirectory(prefix="wharf-bench-", dir=self._folder)
        self.scratch = Path(self._undo.enter_context(made))
        self.cache.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._undo.__exit__(kind, error, trace)

    def say(self, text: str) -> None:
        """One line of progress, apart from the result."""
        print(f"bench: {text}", file=sys.stderr, flush=True)

    def fresh_folder(self, name: str) -> Path:
        """An empty folder in the scratch space."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.scratch))

    def start(
        self,
        command: Sequence[str | Path],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        stdin: int | None = subprocess.DEVNULL,
        stdout: int | IO[Any] | None = subprocess.DEVNULL,
        stderr: int | IO[Any] | None = subprocess.DEVNULL,
    ) -> subprocess.Popen[str]:
        """A child in a process group of its own, ended with the session if not before."""
        child = subprocess.Popen(
            [str(word) for word in command],
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            text=True,
            start_new_session=True,
        )
        self._undo.callback(end, child)
        return child

    def interleaved(
        self, what: str, *actions: Callable[[], float], repeats: int | None = None
    ) -> tuple[tuple[float, ...], ...]:
        """The samples of each action, taken in turn: one of each, then again."""
        rounds = repeats or self.repeats
        samples: list[list[float]] = [[] for _ in actions]
        for number in range(rounds):
            self.say(f"  {what}: {number + 1} of {rounds}")
            for held, action in zip(samples, actions, strict=True):
                held.append(action())
        return tuple(tuple(held) for held in samples)


def end(child: subprocess.Popen[str]) -> None:
    """Ends a child and all that it started: asked first, then killed."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(child.pid, sign)
        with suppress(subprocess.TimeoutExpired):
            child.wait(CHILD_END_S)
    for pipe in (child.stdin, child.stdout, child.stderr):
        if pipe is not None:
            with suppress(BrokenPipeError):
                pipe.close()
