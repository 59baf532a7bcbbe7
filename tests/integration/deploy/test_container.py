"""The image's and the compose file's text, and the node's environment that they describe.

No container engine runs here: the text is judged, and what the image installs is installed.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # two calls of safe_load, their results are typed

from deploy.raspberrypi.installer.machine import Machine
from deploy.raspberrypi.installer.release import ReleaseWish, build

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "deploy" / "consortium"
KNOWN = {
    "FROM", "RUN", "WORKDIR", "COPY", "ENV", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL",
    "HEALTHCHECK", "ENTRYPOINT", "CMD",
}  # fmt: skip


def instructions() -> list[tuple[str, str]]:
    """Return (word, rest) of each instruction, its continued lines joined."""
    text = (FOLDER / "Containerfile").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    rows = [line.split(maxsplit=1) for line in joined.splitlines() if line.strip()]
    return [(row[0], re.sub(r"\s+", " ", row[1])) for row in rows]


def stage(number: int) -> list[tuple[str, str]]:
    """Return the instructions of the stage with this number."""
    stages: list[list[tuple[str, str]]] = []
    for word, rest in instructions():
        if word == "FROM":
            stages.append([])
        stages[-1].append((word, rest))
    return stages[number]


def listed(word: str, rows: list[tuple[str, str]]) -> list[str]:
    """Return the JSON list of the last such instruction."""
    texts = [rest for name, rest in rows if name == word]
    values: list[str] = yaml.safe_load(texts[-1])
    return values


def test_every_instruction_is_one_that_engines_know() -> None:
    assert {word for word, _ in instructions()} <= KNOWN
    assert [word for word, _ in instructions()].count("FROM") == 3


def test_what_is_copied_exists_and_is_let_through() -> None:
    let_through = (FOLDER / "Containerfile.dockerignore").read_text().splitlines()
    for word, rest in stage(1):
        if word == "COPY" and not rest.startswith("--from"):
            for source in shlex.split(rest)[:-1]:
                assert (ROOT / source).exists(), source
                assert f"!{source.split('/')[0]}" in let_through


def test_the_shell_of_each_run_parses() -> None:
    for word, rest in instructions():
        if word == "RUN":
            subprocess.run(["sh", "-n", "-c", rest], check=True)


def test_the_last_stage_is_not_root_and_keeps_its_data_in_a_volume() -> None:
    last = dict(stage(2))
    assert last["USER"] == "wharf-chain"
    assert last["VOLUME"] == last["WORKDIR"] == "/var/lib/wharf-chain"
    assert last["STOPSIGNAL"] == "SIGTERM"


def test_from_an_index_only_locked_packages_are_taken() -> None:
    calls = [call for _, rest in stage(1) for call in rest.split("&&") if "pip install" in call]
    assert len(calls) == 3
    assert [call for call in calls if not re.search("--require-hashes -r|--no-index", call)] == []


def compose() -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yml").read_text())
    return values


def test_the_compose_file_builds_that_image_and_closes_it() -> None:
    node = compose()["services"]["node"]
    assert (FOLDER / node["build"]["context"] / node["build"]["dockerfile"]).exists()
    assert (FOLDER / node["build"]["context"]).resolve() == ROOT
    assert node["read_only"] is True
    assert node["cap_drop"] == ["ALL"]
    volume, _, place = node["volumes"][0].partition(":")
    assert volume in compose()["volumes"]
    assert place == dict(stage(2))["VOLUME"]
    assert node["ports"] == [f"{gateways_port()}:{gateways_port()}"]


def gateways_port() -> str:
    """Return the first port that the image opens."""
    return dict(stage(2))["EXPOSE"].split()[0]


def four() -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((FOLDER / "compose.four.yml").read_text())
    return values


def test_four_companies_share_cards_and_a_network_and_nothing_else() -> None:
    services = four()["services"]
    assert len(services) == 4
    volumes = {
        name: [row.split(":")[0] for row in item["volumes"]] for name, item in services.items()
    }
    assert volumes == {name: [name, "cards"] for name in services}
    assert set(four()["volumes"]) == {*services, "cards"}
    ports = [port for item in services.values() for port in item["ports"]]
    outside, inside = zip(*(port.split(":") for port in ports), strict=True)
    assert set(inside) == {gateways_port()}  # validators meet on their own network
    assert len(set(outside)) == 4
    assert {tuple(item["networks"]) for item in services.values()} == {tuple(four()["networks"])}


def test_each_of_four_companies_runs_the_engine_closed_up() -> None:
    for name, item in four()["services"].items():
        assert item["hostname"] == name
        assert item["command"][:3] == ["run", "--engine", "cometbft"]
        assert item["read_only"] is True
        assert item["cap_drop"] == ["ALL"]
        assert (FOLDER / item["build"]["context"] / item["build"]["dockerfile"]).exists()


def test_the_image_has_the_pinned_engine_where_its_user_may_read_it() -> None:
    (built,) = [rest for word, rest in stage(1) if word == "RUN" and "chain install" in rest]
    place = re.findall(r"XDG_DATA_HOME=(\S+)", built)[0]
    assert f"chmod -R a+rX {place}" in built
    assert f"XDG_DATA_HOME={place}" in dict(stage(2))["ENV"]
    assert ("COPY", "--from=build /opt/wharf /opt/wharf") in stage(2)
    assert place.startswith("/opt/wharf/")


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Path:
    """Return python of an environment with node.lock and our wheel, as the image has."""
    place = tmp_path_factory.mktemp("node") / "environment"
    lock = ROOT / "requirements" / "node.lock"
    build(Machine(Path("/")), ReleaseWish(wheel=wheel, lock=lock), place, final=str(place))
    return place / "bin" / "python3"


def test_the_images_command_starts_a_chain_machine_with_the_nodes_packages_alone(
    node: Path, tmp_path: Path
) -> None:
    home = str(tmp_path / "chain")
    entry = [str(node.parent / "wharf"), *listed("ENTRYPOINT", stage(2))[1:]]
    founding = ["init", "--home", home, "--chain-id", "test-1", "--party", "Test"]
    subprocess.run([*entry, *founding], check=True, capture_output=True)
    words = [home if word == "/var/lib/wharf-chain" else word for word in listed("CMD", stage(2))]
    words[-1] = "127.0.0.1:0"
    with subprocess.Popen(
        [*entry, *words], stdout=subprocess.PIPE, text=True, cwd="/", env=dict(os.environ)
    ) as machine:
        assert machine.stdout is not None
        assert machine.stdout.readline().startswith("listening 127.0.0.1:")
        machine.terminate()
    assert machine.returncode == 0
    assert sys.executable not in entry[0]
