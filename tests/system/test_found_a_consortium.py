"""The how-to's commands, run as they stand in the page, by four organisations on one machine."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gateway.demo.ports import free_ports
from tests.fakes.comet_network import children

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "found-a-consortium.md"
NAMES = ("ACME Cold Stores", "Borealis Freight", "Nordkai", "Quay Bank")
WITHIN_S = 180


def lei(number: int) -> str:
    """A legal entity identifier with right check digits."""
    front = f"{number:018d}"
    return f"{front}{98 - int(front) * 100 % 97:02d}"


def blocks() -> list[str]:
    """The page's commands, in order."""
    return re.findall(r"```bash\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)


@dataclass
class Founder:
    """One organisation's desk."""

    name: str
    number: int
    environment: dict[str, str]
    log: Path
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def does(self, block: str, **more: str) -> str:
        """What a block of the page prints."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            env=self.environment | more, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip  # one command
        assert done.returncode == 0, f"{self.name}: {block}\n{done.stdout}{done.stderr}"
        return done.stdout

    def starts(self, block: str) -> None:
        """Begins a block that goes on."""
        with self.log.open("wb") as log:
            self.running.append(
                subprocess.Popen(
                    ["bash", "-c", f"exec {block}"],
                    env=self.environment,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )

    def ends(self) -> None:
        """Nothing of it runs any more."""
        for process in self.running:
            left = list(children(process.pid))
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                for pid in (process.pid, *left):
                    os.kill(pid, signal.SIGKILL)
                process.wait()


@pytest.fixture
def founders(tmp_path: Path) -> Iterator[list[Founder]]:
    """Four organisations with nothing but the program."""
    cards = tmp_path / "cards"
    cards.mkdir()
    ports = free_ports(2 * len(NAMES))
    made = [
        Founder(
            name,
            number,
            {
                **os.environ,
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "CHAIN": str(tmp_path / f"c{number}"),
                "CARDS": str(cards),
                "SHORT": f"card{number}",
                "PARTY": name,
                "SCHEME": "LEI",
                "NUMBER": lei(number + 1),
                "SERVER": f"127.0.0.1:{ports[2 * number]}",
                "NODE": f"127.0.0.1:{ports[2 * number + 1]}",
            },
            tmp_path / f"log{number}",
        )
        for number, name in enumerate(NAMES)
    ]
    try:
        yield made
    finally:
        for founder in made:
            founder.ends()


def until_all_vote(founders: list[Founder], look: str) -> list[Any]:
    """Every founder's status, once each sees all four votes and agrees with their state."""
    deadline = time.monotonic() + WITHIN_S
    while True:
        seen = []
        for founder in founders:
            done = subprocess.run(
                ["bash", "-c", look],
                env=founder.environment, capture_output=True, text=True, check=False, timeout=60,
            )  # fmt: skip  # one command
            seen.append(json.loads(done.stdout) if done.returncode == 0 else None)
        if all(
            item and item["network"]["app_hash_agrees"] and len(item["network"]["peers"]) == 3
            for item in seen
        ):
            return seen
        said = "\n".join(founder.log.read_text() for founder in founders)
        assert time.monotonic() < deadline, f"{seen}\n{said}"
        time.sleep(0.5)


def test_four_organisations_found_a_chain_by_the_page(founders: list[Founder]) -> None:
    install, card, found, run, look, identify, keep = blocks()
    founders[0].does(install)
    for founder in founders:
        founder.does(card)
    said = [founder.does(found) for founder in founders]
    assert len(set(said)) == 1, said
    hash_ = re.findall(r"genesis sha256 +([0-9a-f]{64})", said[0])[0]
    assert all(f"{name}, LEI {lei(number + 1)}" in said[0] for number, name in enumerate(NAMES))
    for founder in founders:
        founder.starts(run)
    seen = until_all_vote(founders, look)
    assert {item["genesis_sha256"] for item in seen} == {hash_}
    assert len(seen[0]["network"]["votes"]) == len(NAMES)
    for founder in founders:
        other = founders[(founder.number + 1) % len(founders)]
        text = founder.does(
            identify,
            OTHER=other.name,
            OTHER_SCHEME=other.environment["SCHEME"],
            OTHER_NUMBER=other.environment["NUMBER"],
        )
        rows = json.loads(text[text.index("[") :])
        (ids,) = [row["legal_ids"] for row in rows if row["name"] == other.name]
        assert [item["verified_by"] for item in ids] == [founder.name]
    founders[0].does(keep)
    assert Path(f"{founders[0].environment['CHAIN']}.tar").stat().st_mode & 0o777 == 0o600
