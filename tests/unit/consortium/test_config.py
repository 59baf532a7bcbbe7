from datetime import UTC, datetime
from pathlib import Path

import pytest

from consortium.config import CONFIG_NAME, read_config
from consortium.errors import ConfigError
from consortium.founding import found_chain

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def found(home: Path, party: str = "ACME") -> None:
    found_chain(home, chain_id="acme", party_name=party, listen="127.0.0.1:0", now=NOW)


def test_what_founding_writes_can_be_read(tmp_path: Path) -> None:
    found(tmp_path / "home")
    config = read_config(tmp_path / "home")
    assert ("ACME", "party_key.pem", "127.0.0.1:0", 500) == (
        config.party.name,
        config.party.key,
        config.server.listen,
        config.anchoring.interval_ms,
    )
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "home").iterdir()}
    assert set(modes.values()) == {0o600}
    assert (tmp_path / "home").stat().st_mode & 0o777 == 0o700


def test_a_chain_is_not_founded_twice_in_one_folder(tmp_path: Path) -> None:
    found(tmp_path)
    with pytest.raises(ConfigError, match="holds a chain already"):
        found(tmp_path)


def test_a_name_that_would_break_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="quote"):
        found(tmp_path, 'A"B')


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('[party]\nname = "A"\n[surver]\n', r"chain.toml:3: unknown section \[surver\]"),
        ('[party]\nname = "A"\n\n[server]\nlisten_on = "x"\n', r"chain.toml:5: unknown key 'list"),
        (
            '[party]\nname = "A"\n[server]\nwaiting_max = "x"\n',
            r":4: waiting_max is not of type int",
        ),
        ('[party]\nname = "A"\n[server]\nwaiting_max = true\n', r":4: waiting_max is not of type"),
        ('[party]\nname = "A"\n[server]\nwaiting_max = 0\n', r":4: waiting_max = 0 is not 1 to"),
        ('party = "A"\n', r":1: \[party\] is not a section"),
        ("[server]\n", r"\[party\] has no name"),
        ("[party\n", r"chain.toml: "),
    ],
)
def test_a_wrong_file_is_refused_with_line_and_mend(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / CONFIG_NAME).write_text(text)
    with pytest.raises(ConfigError, match=reason):
        read_config(tmp_path)


def test_a_missing_file_names_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="wharf chain init"):
        read_config(tmp_path)
