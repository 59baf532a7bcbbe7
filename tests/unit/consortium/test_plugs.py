"""What a chain machine is plugged together from: its reader key, and the room over its stores."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from consortium.compose import NodeParts
from consortium.errors import ConfigError, MalformedError
from consortium.plugs import READER_KEY_NAME, opened_block, plug_in, reader_key, reader_secret
from ledger.entry import Entry, GTime
from ledger.sealed import reader_public


def test_a_reader_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    secret = reader_secret(tmp_path)
    assert secret == reader_secret(tmp_path)
    assert reader_key(tmp_path) == reader_public(secret)
    assert 0o600 == (tmp_path / READER_KEY_NAME).stat().st_mode & 0o777


@pytest.mark.parametrize("text", ["", "zz", "ab" * 31, "ab" * 33, "\u00e9"])
def test_a_reader_key_that_is_damaged_is_refused_and_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / READER_KEY_NAME
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match="reader_key"):
        reader_secret(tmp_path)
    assert text == path.read_text(encoding="utf-8")


def parts(home: Path) -> NodeParts:
    """The parts that a plug takes, a node that knows no gateway."""
    node = SimpleNamespace(
        get=lambda *_: None, enrolled_feeds=list, is_enrolled=lambda _: False,
        genesis=SimpleNamespace(chain_id="wharf-test"),
    )  # fmt: skip  # two lines of answers
    made = SimpleNamespace(
        config=SimpleNamespace(home=home), node=node, party=None, poke=lambda: None
    )
    return cast("NodeParts", made)


async def test_one_room_serves_gossip_heads_and_statements_and_closes_its_stores(
    tmp_path: Path,
) -> None:
    plugged = await plug_in(parts(tmp_path))
    assert 1 == len({id(plugged.gossip), id(plugged.heads), id(plugged.statements)})
    assert "Prove" in plugged.operator_methods
    assert plugged.heads is not None
    assert [] == await plugged.heads.conflicts(8)
    with pytest.raises(MalformedError):
        await plugged.operator_methods["Prove"](["probe", None])
    assert plugged.aclose is not None
    await plugged.aclose()
    again = await plug_in(parts(tmp_path))
    assert again.aclose is not None
    await again.aclose()


def test_an_opened_run_is_given_to_the_read_model_as_it_was_read() -> None:
    entry = Entry(1, 65_537, GTime(1, 2, 3, 4, 5), 6, [1, 400])
    header = SimpleNamespace(feed_id=b"f" * 16, epoch=0, height=7, digest=b"d" * 32)
    run: Any = SimpleNamespace(
        header=header, audience=1, head=SimpleNamespace(first=9), entries=[entry]
    )
    block = opened_block(run)
    assert (b"f" * 16, 0, 7, 1, b"d" * 32, 9) == (
        block.feed_id, block.epoch, block.height, block.audience, block.block_digest,
        block.first_index,
    )  # fmt: skip  # one record
    (row,) = block.entries
    assert (1, 65_537, 6, [1, 400]) == (row.kind, row.slot, row.srcseq, row.body)
    assert row.time == entry.time.to_value()
