"""The words of `wharf chain party | vote | delegate` against a running chain machine."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.chain_process import ChainProcess, wharf


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[ChainProcess]:
    made = ChainProcess(tmp_path / "c").found().start()
    yield made
    made.kill()


def said(machine: ChainProcess, *words: str) -> Any:
    """What a word prints as JSON."""
    done = wharf("chain", *words, "--home", str(machine.home), "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_an_organisation_is_admitted_suspended_and_its_driver_delegated(
    machine: ChainProcess, tmp_path: Path
) -> None:
    key, new = str(tmp_path / "new.key"), "New Carrier"
    code = said(machine, "party", "key-code", "--new", "--key", key, "--party", new)["key_code"]
    legal = ["LEI", "506700GE1G29325QX363"]
    said(machine, "vote", "propose", "admit", new, "carrier", code, *legal)
    said(machine, "vote", "propose", "suspend", new)
    assert [("admit", "passed"), ("suspend", "passed")] == [
        (item["action"], item["status"]) for item in said(machine, "vote", "list")
    ]
    parties = {item["name"]: item for item in said(machine, "party", "list")}
    assert (True, "operator") == (
        parties[new]["suspended"], parties[new]["legal_ids"][0]["verified_by"],
    )  # fmt: skip  # one line of what is compared
    driver = said(
        machine, "party", "key-code", "--key", str(tmp_path / "driver.key"), "--party", "operator"
    )["key_code"]
    words = [driver, "--name", "Driver 7", "--title", "driver", "--until", "2027-12-31"]
    said(machine, "delegate", "add", *words)
    (listed,) = said(machine, "delegate", "list")
    said(machine, "delegate", "end", listed["key"])
    refused = wharf("chain", "vote", "yes", "00" * 32, "--home", str(machine.home))
    assert (1, True) == (refused.returncode, "refused (80)" in refused.stderr)


def test_a_machine_goes_on_with_its_organisations_next_key(
    machine: ChainProcess, tmp_path: Path
) -> None:
    key = tmp_path / "next.key"
    words = ("party", "key-code", "--key", str(key), "--party", "operator")
    said(machine, "party", "next-key", said(machine, *words)["key_code"])
    refused = wharf("chain", "vote", "no", "00" * 32, "--home", str(machine.home))
    assert "refused (9)" in refused.stderr
    machine.kill()
    key.replace(machine.home / "party_key.pem")
    machine.start()
    said(machine, "vote", "propose", "admit", "N", "court", said(
        machine, "party", "key-code", "--new", "--key", str(tmp_path / "n"), "--party", "N"
    )["key_code"], "VAT", "DE1")  # fmt: skip  # one word and its arguments
    assert {"N", "operator"} == {item["name"] for item in said(machine, "party", "list")}
