import argparse
import re
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

import ledger.cli
from ledger.cli import EXIT_FAILED, main
from ledger.errors import StoreError


def raising(error: BaseException) -> Callable[[argparse.Namespace], int]:
    def run(arguments: argparse.Namespace) -> int:
        raise error

    return run


@pytest.fixture
def word(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Makes `wharf word` raise an error."""

    def make(error: BaseException) -> None:
        def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
            commands.add_parser("word").set_defaults(run=raising(error))

        point = EntryPoint(name="word", value="nowhere:register", group=ledger.cli.GROUP)
        monkeypatch.setattr(ledger.cli, "entry_points", lambda **_: [point])
        monkeypatch.setattr(EntryPoint, "load", lambda _: register)

    return make


def test_a_group_of_errors_is_told_as_the_first_of_them(
    word: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]
) -> None:
    word(ExceptionGroup("tasks", [ExceptionGroup("more", [StoreError("the disk is gone")])]))
    assert main(["word"]) == EXIT_FAILED
    assert capsys.readouterr().err == "wharf: the disk is gone\n"


def test_a_file_that_cannot_be_written_is_one_line_that_names_it(
    word: Callable[[BaseException], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "proof.wharf"
    word(IsADirectoryError(21, "Is a directory", str(path)))
    assert main(["word"]) == EXIT_FAILED
    assert capsys.readouterr().err == f"wharf: [Errno 21] Is a directory: '{path}'\n"


def test_an_error_that_nobody_foresaw_is_never_the_exit_code_of_a_verdict(
    word: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]
) -> None:
    word(IndexError("list index out of range"))
    assert main(["word"]) == EXIT_FAILED
    assert "Traceback" in capsys.readouterr().err


def leaves(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    groups = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    inner = [command for group in groups for command in group.choices.values()]
    return [leaf for command in inner for leaf in leaves(command)] if inner else [parser]


def shown(command: argparse.ArgumentParser) -> str:
    """The help without its usage, which names the command as well; `example:` as if indented."""
    return command.format_help().partition("\n\n")[2].replace("example: ", "  ")


def test_every_command_shows_an_example_of_itself() -> None:
    commands = leaves(ledger.cli.build_parser())
    assert len(commands) > 40
    without = [
        c.prog for c in commands if not re.search(rf"^ *{c.prog}( |$)", shown(c), re.MULTILINE)
    ]
    assert [] == without


def test_a_command_shows_the_examples_above_that_are_its_own_and_no_others() -> None:
    parser = argparse.ArgumentParser(prog="wharf")
    epilog = "examples:\n  wharf a b --long \\\n      --more 1\n  wharf a bc 2\n"
    words = parser.add_subparsers().add_parser("a", epilog=epilog).add_subparsers()
    short = words.add_parser("b")
    words.add_parser("bc")
    ledger.cli.pass_on_examples(parser)
    assert "examples:\n  wharf a b --long \\\n      --more 1\n" == short.epilog
