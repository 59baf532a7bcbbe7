"""The words of `wharf chain party | vote | delegate` against a running chain machine."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from consortium.enrolment import EnrolmentCode, encode_enrolment
from consortium.transaction import KIND_ANCHORS
from ledger.conflict import conflict_of_heads
from tests.fakes.chain_process import ChainProcess, wharf
from tests.fakes.gateway_feed import GatewayFeed


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


def test_evidence_freezes_a_feed_and_its_owner_lets_it_go_on(
    machine: ChainProcess, tmp_path: Path
) -> None:
    feed = GatewayFeed("cold room").grow(4)
    fork = GatewayFeed("cold room").grow(6, "another history")
    asyncio.run(anchored(machine, feed, 2))
    evidence, head = tmp_path / "evidence", tmp_path / "head"
    evidence.write_bytes(conflict_of_heads(fork.head(2), feed.head(2)))
    head.write_bytes(feed.head(2))
    named = feed.feed_id.hex()
    said(machine, "feed", "report", named, "heads", str(evidence))
    said(machine, "feed", "next-epoch", named, str(head))
    (frozen,), (opened,) = said(machine, "feed", "conflicts"), said(machine, "feed", "epochs")
    assert (named, 1) == (frozen["feed"], frozen["goes_on_in"])
    assert (named, 1, 2, 0) == (
        opened["feed"], opened["epoch"], opened["from_height"], opened["may_be_missing"],
    )  # fmt: skip  # one line of what is compared
    missing = wharf("chain", "feed", "report", named, "heads", "/no/such", "--home",
                    str(machine.home))  # fmt: skip  # one command
    assert (1, True) == (missing.returncode, "/no/such: No such file" in missing.stderr)


async def anchored(machine: ChainProcess, feed: GatewayFeed, height: int) -> None:
    """The feed enrolled by the machine's party and anchored up to a height."""
    code = EnrolmentCode(
        feed_id=feed.feed_id, alg=-8, spki=feed.spki, genesis_leaf=feed.genesis_leaf,
        gateway_name="gateway", party_name="operator",
    )  # fmt: skip  # as it is declared
    await machine.operate("Enrol", encode_enrolment(code), None)
    await machine.operate("Send", KIND_ANCHORS, [1, [feed.item(None, height).to_value()]])


def test_a_stopped_machines_state_is_read_whole_and_a_change_is_found(
    machine: ChainProcess,
) -> None:
    running = wharf("chain", "verify", "--home", str(machine.home))
    assert (1, True) == (running.returncode, "runs there already" in running.stderr)
    asyncio.run(anchored(machine, GatewayFeed("cold room").grow(2), 1))
    machine.stop()
    found = said(machine, "verify")
    assert found["entries"] > 5
    data = machine.home / "chain.store" / "data.mdb"
    data.write_bytes(data.read_bytes().replace(b"operator", b"0perator"))
    damaged = wharf("chain", "verify", "--home", str(machine.home))
    assert damaged.returncode == 1, damaged.stdout
