"""Founding cards: what is changed on its way is seen, and equal cards make one document."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from consortium.comet.founding import (
    CARD_NAME,
    Card,
    Places,
    found,
    genesis_of,
    make_founder,
    read_card,
)
from consortium.errors import ConfigError

NOW = datetime(2026, 11, 24, tzinfo=UTC)
LEI = ("LEI", "506700GE1G29325QX363")
PLACES = Places(server="127.0.0.1:7411", node="127.0.0.1:26656")


def founder(home: Path, party: str, legal_id: tuple[str, str] = LEI) -> Card:
    """A founder's card as the others read it."""
    make_founder(home, chain_id="cold-1", party=party, places=PLACES, now=NOW, legal_id=legal_id)
    return read_card(home / CARD_NAME)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("party", "Somebody Else"),
        ("legal_number", "5493001KJTIIGC8Y1R12"),
        ("validator_key", "00" * 32),
        ("address", "203.0.113.9:26656"),
        ("node_id", "ab" * 20),
        ("chain_id", "cold-2"),
        ("certificate_sha256", "00" * 32),
        ("signature", "00" * 64),
        ("signature", ""),
    ],
)
def test_a_card_that_was_changed_on_its_way_does_not_verify(
    tmp_path: Path, name: str, value: str
) -> None:
    founder(tmp_path, "ACME")
    path = tmp_path / CARD_NAME
    card: dict[str, Any] = json.loads(path.read_bytes())
    path.write_text(json.dumps(card | {name: value}))
    with pytest.raises(ConfigError, match="signature does not verify"):
        read_card(path)


@pytest.mark.parametrize("legal_id", [("LEI", "506700GE1G29325QX364"), ("lei", "1"), ("VAT", "")])
def test_a_legal_id_out_of_form_makes_no_card(tmp_path: Path, legal_id: tuple[str, str]) -> None:
    with pytest.raises(ConfigError, match="legal id"):
        founder(tmp_path, "ACME", legal_id)
    assert not (tmp_path / CARD_NAME).exists()


def test_the_same_cards_in_any_order_make_the_same_document(tmp_path: Path) -> None:
    cards = [founder(tmp_path / name, name) for name in ("a", "b", "c", "d")]
    time_ms = int(NOW.timestamp() * 1000)
    first = found(tmp_path / "a", cards, time_ms=time_ms, votes=3)
    again = found(tmp_path / "b", cards[::-1], time_ms=time_ms, votes=3)
    assert first.digest == again.digest
    assert genesis_of(cards, time_ms=time_ms, votes=2).digest != first.digest


def test_who_is_not_among_the_cards_founds_nothing(tmp_path: Path) -> None:
    cards = [founder(tmp_path / name, name) for name in ("a", "b")]
    with pytest.raises(ConfigError, match="not among the cards"):
        found(tmp_path / "a", cards[1:], time_ms=1, votes=1)
