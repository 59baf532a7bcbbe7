"""What a portal follows, asked of a chain machine that runs as its own process."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from consortium.client import PagesClient
from consortium.config import GENESIS_NAME, PAGES_SOCKET_NAME
from consortium.errors import MalformedError
from consortium.followed import ITEM_GENESIS, ITEM_TRANSACTION
from consortium.membership import admit_party
from consortium.transaction import KIND_PARTY, decode_transaction
from ledger.canonical import decode
from tests.fakes.chain_process import ChainProcess


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[ChainProcess]:
    made = ChainProcess(tmp_path / "c").found().start()
    yield made
    made.kill()


def door(machine: ChainProcess) -> PagesClient:
    return PagesClient(machine.home / PAGES_SOCKET_NAME)


async def test_accepted_transactions_are_followed_in_chain_order_and_again_after_a_kill(
    machine: ChainProcess, tmp_path: Path
) -> None:
    async with door(machine) as pages:
        _, ((seq, item),) = await pages.follow(0)
        assert [ITEM_GENESIS, (machine.home / GENESIS_NAME).read_bytes()] == item
        for name in ("grower", "shop"):
            await admit_party(machine.home, name, tmp_path / f"{name}.pem")
            newest, rows = await pages.follow(seq, wait_ms=10_000)
            ((seq, (kind, (_, height, index, time_ms, data, records))),) = rows
            transaction = decode_transaction(data)
            assert (ITEM_TRANSACTION, KIND_PARTY, name) == (
                kind, transaction.kind, decode(transaction.payload)[1],
            )  # fmt: skip  # one comparison
            assert name in records[0]
            assert (newest, 0) == (seq, index)
            assert height > 0
            assert time_ms > 0
        _, before = await pages.follow(0)
    machine.kill()
    machine.start()
    async with door(machine) as pages:
        assert before == (await pages.follow(0))[1]


async def test_the_pages_door_is_its_owners_alone_and_sends_no_operators_word(
    machine: ChainProcess,
) -> None:
    assert 0o600 == (machine.home / PAGES_SOCKET_NAME).stat().st_mode & 0o777
    async with door(machine) as pages:
        with pytest.raises(MalformedError, match="not for pages"):
            await pages.send(KIND_PARTY, [1], nonce=bytes(16))
        with pytest.raises(MalformedError):
            await pages.follow(0, limit=10_000)
        assert 16 == len(await pages.party_id())
        assert (await pages.status()).height > 0
