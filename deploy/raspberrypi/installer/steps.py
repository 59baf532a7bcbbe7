"""Steps: each knows whether it is done, so a run can be broken off anywhere and begun again."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from deploy.raspberrypi.installer.machine import FileWish, Machine, Owner

PENDING: Final = "/opt/wharf/.pending"
WRITTEN: Final = "/opt/wharf/.written"
Command = tuple[str, ...]
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing to bring about. `wakes`: what a booted machine must be told once it is changed."""

    words: str
    is_done: Callable[[Machine], bool]
    act: Callable[[Machine], None]
    wakes: tuple[Command, ...] = ()


def file_step(wish: FileWish, *wakes: Command) -> Step:
    """A file as wished. What a person wrote under its name is kept beside it."""

    def act(machine: Machine) -> None:
        if not _is_ours(machine, wish.path):
            machine.keep_copy(wish.path)
        _note_as_ours(machine, wish)
        machine.write(wish)

    return Step(
        words=f"write {wish.path}",
        is_done=lambda machine: machine.has(wish),
        act=act,
        wakes=wakes,
    )


def _written(machine: Machine) -> dict[str, str]:
    """SHA-256 of what we wrote last, by path."""
    path = machine.at(WRITTEN)
    noted: dict[str, str] = json.loads(path.read_text()) if path.is_file() else {}
    return noted


def _is_ours(machine: Machine, path: str) -> bool:
    place = machine.at(path)
    is_file = place.is_file() and not place.is_symlink()
    return is_file and _written(machine).get(path) == sha256(place.read_bytes()).hexdigest()


def _note_as_ours(machine: Machine, wish: FileWish) -> None:
    noted = _written(machine) | {wish.path: sha256(wish.data).hexdigest()}
    machine.write(FileWish(WRITTEN, (json.dumps(noted, indent=1) + "\n").encode()))


def folder_step(path: str, mode: int, owner: Owner) -> Step:
    """A folder with mode and owner; what is in it stays."""
    return Step(
        words=f"folder {path} ({owner.user}, {mode:04o})",
        is_done=lambda machine: machine.has_folder(path, mode, owner),
        act=lambda machine: machine.make_folder(path, mode, owner),
    )


def link_step(path: str, target: str, *wakes: Command) -> Step:
    """A symbolic link."""
    return Step(
        words=f"link {path} -> {target}",
        is_done=lambda machine: machine.link_target(path) == target,
        act=lambda machine: machine.link(path, target),
        wakes=wakes,
    )


def removal_steps(paths: Iterable[str], *wakes: Command) -> list[Step]:
    """Each path gone. What a person had written there before us stays beside it."""

    def removal(path: str) -> Step:
        return Step(
            words=f"remove {path}",
            is_done=lambda machine: not machine.exists(path),
            act=lambda machine: machine.remove(path),
            wakes=wakes,
        )

    return [removal(path) for path in paths]


def run_steps(machine: Machine, steps: Sequence[Step], say: Say) -> int:
    """Brings about what is not yet so; returns how many steps that took.

    What the machine must be told is written down before the first change, and told at the end: a
    run that was killed in between is finished by the next.
    """
    changed = 0
    for step in steps:
        if step.is_done(machine):
            continue
        _remember(machine, step.wakes)
        step.act(machine)
        say(f"  done     {step.words}")
        changed += 1
    _wake(machine, say)
    return changed


def show_steps(machine: Machine, steps: Sequence[Step], say: Say) -> int:
    """Says what run_steps would do, and changes nothing; returns how many steps are open."""
    opened = [step for step in steps if not step.is_done(machine)]
    for step in steps:
        say(f"  {'would   ' if step in opened else 'is so   '} {step.words}")
    for wake in _in_order([*_pending(machine), *(wake for step in opened for wake in step.wakes)]):
        say(f"  would    run {' '.join(wake)}")
    return len(opened)


def _in_order(wakes: Iterable[Command]) -> list[Command]:
    """Each command once; units are read anew before anything is restarted by them."""
    return sorted(dict.fromkeys(wakes), key=lambda wake: "restart" in wake)


def _pending(machine: Machine) -> list[Command]:
    path = machine.at(PENDING)
    return [tuple(wake) for wake in json.loads(path.read_text())] if path.is_file() else []


def _remember(machine: Machine, wakes: Sequence[Command]) -> None:
    waiting = _pending(machine)
    together = _in_order([*waiting, *wakes])
    if together != waiting:
        machine.write(FileWish(PENDING, json.dumps(together).encode()))


def _wake(machine: Machine, say: Say) -> None:
    for wake in _pending(machine):
        if machine.is_booted:
            machine.run(*wake)
            say(f"  done     run {' '.join(wake)}")
        else:
            say(f"  not here run {' '.join(wake)}")
    machine.remove(PENDING)
