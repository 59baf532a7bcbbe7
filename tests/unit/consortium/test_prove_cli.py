import argparse
from pathlib import Path

import pytest

from consortium.errors import ChainUnavailableError
from consortium.prove_cli import EXIT_USAGE, register


def prove(*words: str) -> int:
    parser = argparse.ArgumentParser()
    register(parser.add_subparsers())
    arguments = parser.parse_args(["prove", "--sensor", "probe", *words])
    return int(arguments.run(arguments))


@pytest.mark.parametrize(
    "words",
    [
        ["--from", "yesterday"],
        ["--from", "2026-11-23T10:00:00", "--to", "now"],
        ["--from", "1h", "--to", "tomorrow"],
        ["--from", "5m", "--to", "1h"],
        ["--from", "2026-11-23T10:00:01Z", "--to", "2026-11-23T10:00:00Z"],
    ],
)
def test_moments_that_are_none_or_reversed_are_wrong_usage(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert prove(*words) == EXIT_USAGE
    told = capsys.readouterr().err
    assert told.startswith("wharf prove: ")
    assert told.count("\n") == 1


def test_a_machine_that_does_not_run_is_named_by_its_folder(tmp_path: Path) -> None:
    with pytest.raises(ChainUnavailableError, match=str(tmp_path)):
        prove("--from", "1h", "--home", str(tmp_path))
