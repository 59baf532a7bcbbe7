"""Texts and state on the disk; which configuration a start gets."""

from pathlib import Path

import pytest

from gateway.config import ORIGIN_FILE, ORIGIN_OVERRIDE, ORIGIN_SITE, check_sendable
from gateway.errors import ConfigError
from gateway.site import STARTS_MAX, Cause, kept, staged
from gateway.site_folder import SiteFolder, read_effective, read_to_start

OWN = """\
[gateway]
name = "cold-room"
party = "Cold Store Ltd"
data_dir = "data"
development = true

[key]
uri = "file:/key.pem"

[seal]
count = 10
"""
SENT = """\
[seal]
count = 20

[[audience]]
id = 1
name = "goods"
readers = []

[[device]]
id = "probe"
driver = "ds18b20"
source = "w1:/sys/probe"
audience = 1
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "gateway.toml"
    made.write_text(OWN)
    return made


@pytest.fixture
def folder(tmp_path: Path) -> SiteFolder:
    return SiteFolder(tmp_path / "data")


def stage(folder: SiteFolder, version: int, text: str) -> None:
    folder.put_text(version, text.encode())
    folder.change(lambda state: staged(state, version, [("probe", "temperature")]))


def test_without_anything_sent_the_boxs_own_file_counts(path: Path) -> None:
    config = read_to_start(path)
    assert (ORIGIN_FILE, 10, ()) == (config.origin.kind, config.seal.count, config.devices)


def test_a_sent_text_stands_above_the_file_table_by_table(path: Path, folder: SiteFolder) -> None:
    stage(folder, 1, SENT)
    config = read_to_start(path)
    assert (ORIGIN_SITE, 1, SENT.encode()) == (
        config.origin.kind,
        config.origin.version,
        config.origin.text,
    )
    assert (20, "probe", "cold-room") == (
        config.seal.count,
        config.devices[0].spec.id,
        config.name,
    )
    assert config == read_effective(path)


def test_an_override_stands_above_both_and_its_end_brings_the_sent_one_back(
    path: Path, folder: SiteFolder, tmp_path: Path
) -> None:
    stage(folder, 1, SENT)
    file = tmp_path / "spare.toml"
    file.write_text("[seal]\ncount = 30\n")
    folder.begin_override(read_effective(path), file, "spare probe")
    config = read_to_start(path)
    assert (ORIGIN_OVERRIDE, "spare probe", 30, ()) == (
        config.origin.kind,
        config.origin.reason,
        config.seal.count,
        config.devices,
    )
    folder.end_override()
    assert (ORIGIN_SITE, 20) == (
        read_to_start(path).origin.kind,
        read_to_start(path).seal.count,
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[humbug]\n", "unknown table"),
        ("[seal]\nhumbug = 1\n", "unknown key"),
        ("[broker]\nport = 70000\n", "from 1 to 65535"),
        ("[seal\n", "TOML"),
        ('[key]\nuri = "file:/other"\n', "belongs to the box itself"),
        ('[[consortium]]\naddress = "evil:1"\n', "belongs to the box itself"),
        ("[site]\naccept = false\n", "belongs to the box itself"),
    ],
)
def test_what_no_box_could_run_on_is_refused_at_the_desk_and_as_an_override(
    path: Path, folder: SiteFolder, tmp_path: Path, text: str, words: str
) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=words):
        check_sendable(file)
    with pytest.raises(ConfigError, match=words):
        folder.begin_override(read_effective(path), file, "why")
    assert ORIGIN_FILE == read_to_start(path).origin.kind


def test_devices_without_their_readers_are_not_sent(tmp_path: Path) -> None:
    file = tmp_path / "devices.toml"
    file.write_text(SENT[SENT.index("[[device]]") :])
    with pytest.raises(ConfigError, match="readers"):
        check_sendable(file)


def test_a_good_text_may_be_sent(tmp_path: Path) -> None:
    file = tmp_path / "good.toml"
    file.write_text(SENT)
    assert SENT.encode() == check_sendable(file)


def test_a_version_that_cannot_be_read_gives_way_to_the_one_before(
    path: Path, folder: SiteFolder
) -> None:
    stage(folder, 1, SENT)
    folder.change(kept)
    stage(folder, 2, "[humbug]\n")
    assert 1 == read_to_start(path).origin.version
    verdict = folder.state().verdict
    assert verdict is not None
    assert (2, Cause.UNREADABLE) == (verdict.version, verdict.cause)


def test_a_text_that_the_card_lost_ends_at_the_boxs_own_file(
    path: Path, folder: SiteFolder, tmp_path: Path
) -> None:
    stage(folder, 1, SENT)
    folder.change(kept)
    (tmp_path / "data" / "site" / "1.toml").unlink()
    assert ORIGIN_FILE == read_to_start(path).origin.kind


def test_starts_are_counted_on_the_disk(path: Path, folder: SiteFolder) -> None:
    stage(folder, 1, SENT)
    for _ in range(STARTS_MAX):
        assert 1 == read_to_start(path).origin.version
    assert ORIGIN_FILE == read_to_start(path).origin.kind


def test_texts_that_nothing_needs_are_let_go(folder: SiteFolder, tmp_path: Path) -> None:
    for version in (1, 2, 3):
        stage(folder, version, SENT)
        folder.change(kept)
    stage(folder, 4, SENT)
    names = sorted(item.name for item in (tmp_path / "data" / "site").glob("*.toml"))
    assert ["3.toml", "4.toml"] == names


def test_only_a_version_on_trial_is_given_up(folder: SiteFolder) -> None:
    assert not folder.give_up_trial("port in use")
    stage(folder, 1, SENT)
    assert folder.give_up_trial("port in use")
    assert 0 == folder.state().running


@pytest.mark.parametrize("reason", ["x" * 201, "two\nlines"])
def test_a_reason_that_the_ledger_could_not_hold_is_refused(
    path: Path, folder: SiteFolder, tmp_path: Path, reason: str
) -> None:
    file = tmp_path / "spare.toml"
    file.write_text("[seal]\ncount = 30\n")
    with pytest.raises(ConfigError, match="printable"):
        folder.begin_override(read_effective(path), file, reason)
