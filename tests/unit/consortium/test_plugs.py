"""What a chain machine is plugged together from: its reader key, and the room over its stores."""

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from consortium.compose import NodeParts
from consortium.config import CERTIFICATE_NAME, TLS_KEY_NAME
from consortium.errors import ConfigError, MalformedError
from consortium.plugs import (
    READER_KEY_NAME,
    opened_block,
    plug_in,
    reader_key,
    reader_secret,
    standing,
)
from consortium.tls import make_certificate
from ledger.entry import Entry, GTime
from ledger.errors import FormatError
from ledger.gossip import HAVE, message
from ledger.sealed import reader_public
from ledger.signing import EDDSA
from tests.fakes.small_chain import signer

SPKI = signer("a party").public_key_der()


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
        genesis=SimpleNamespace(chain_id="wharf-test"), genesis_bytes=lambda: b"genesis",
    )  # fmt: skip  # two lines of answers
    make_certificate(home / CERTIFICATE_NAME, home / TLS_KEY_NAME, datetime.now(UTC))
    server = SimpleNamespace(sessions_max=200)
    made = SimpleNamespace(
        config=SimpleNamespace(home=home, server=server), node=node, party=None, poke=lambda: None
    )
    return cast("NodeParts", made)


async def test_one_room_serves_gossip_heads_and_statements_and_closes_its_stores(
    tmp_path: Path,
) -> None:
    plugged = await plug_in(parts(tmp_path))
    assert 1 == len({id(plugged.heads), id(plugged.statements)})
    assert plugged.gossip is not None
    stranger = await plugged.gossip.open_session()
    with pytest.raises(FormatError, match="before hello"):
        await stranger.receive(message(HAVE, b"f" * 16, 0, 1, 0))
    assert {0} == set(plugged.numbers().values())
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


def test_what_the_chain_says_of_a_peer_decides() -> None:
    rows: dict[tuple[str, bytes], Any] = {
        ("gateway", b"on"): [b"party", EDDSA, SPKI, 0, b"", 1, None],
        ("gateway", b"off"): [b"party", EDDSA, SPKI, 0, b"", 1, 5],
        ("party", b"on"): ["party", EDDSA, SPKI, 2, 1],
        ("party", b"off"): ["party", EDDSA, SPKI, 2, 1],
        ("suspended", b"off"): [5, None],
        ("party", b"back"): ["party", EDDSA, SPKI, 2, 1],
        ("suspended", b"back"): [5, 6],
    }
    node = cast("Any", SimpleNamespace(get=lambda name, peer: rows.get((name, peer))))
    for role, ended, known in ((1, b"off", [b"on"]), (2, b"off", [b"on", b"back"])):
        assert standing(node, role, ended).is_ended
        assert standing(node, role, b"nobody").key is None
        for name in known:
            stands = standing(node, role, name)
            assert stands.key is not None
            assert not stands.is_ended


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
