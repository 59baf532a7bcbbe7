import asyncio
from pathlib import Path

from gateway.config import read_config
from gateway.init import Wish, initialise

PARTY = 'ACME "Cold" \\ Stores Ä'


def wish(folder: Path) -> Wish:
    return Wish(
        config_path=folder / "gateway.toml",
        name='cold "room"',
        party=PARTY,
        data_dir=folder / 'data "1"',
        key_uri=None,
        development=False,
        address=None,
        certificate=None,
        genesis_sha256=None,
        readers=(),
    )


def test_names_with_quotes_and_backslashes_come_back_as_they_were(tmp_path: Path) -> None:
    asyncio.run(initialise(wish(tmp_path)))
    config = read_config(tmp_path / "gateway.toml")
    assert (config.name, config.party) == ('cold "room"', PARTY)
    assert config.data_dir == tmp_path / 'data "1"'


def test_a_try_that_died_while_it_wrote_leaves_no_half_configuration(tmp_path: Path) -> None:
    (tmp_path / ".gateway.toml.new").write_text('[gateway]\nname = "co')
    asyncio.run(initialise(wish(tmp_path)))
    assert read_config(tmp_path / "gateway.toml").party == PARTY


def test_the_store_is_for_its_owner_alone(tmp_path: Path) -> None:
    asyncio.run(initialise(wish(tmp_path)))
    data = tmp_path / 'data "1"' / "store" / "data.mdb"
    assert data.stat().st_mode & 0o077 == 0
