"""`wharf`: loads the commands of installed packages by entry point; none imports another."""

import argparse
import logging
import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points

GROUP = "wharfinger.commands"
EXIT_USAGE = 64
EXIT_FAILED = 2
_DESCRIPTION = "Wharfinger: readings that prove themselves. `wharf COMMAND --help` says more."


class _Parser(argparse.ArgumentParser):
    """Wrong usage exits with 64: 1 and 2 are verdicts."""

    def error(self, message: str) -> "None":  # type: ignore[override]  # exits, as the base does
        self.print_usage(sys.stderr)
        self.exit(EXIT_USAGE, f"{self.prog}: {message}\n")


def build_parser(word: str | None = None) -> argparse.ArgumentParser:
    """The parser with one command, or with all that are installed where there is no such word.

    A command whose extra is missing becomes one that says so.
    """
    parser = _Parser(prog="wharf", description=_DESCRIPTION)
    parser.add_argument("--log", default="warning", choices=("debug", "info", "warning", "error"))
    commands: argparse._SubParsersAction[argparse.ArgumentParser] = parser.add_subparsers(
        metavar="COMMAND", required=True, parser_class=_Parser
    )
    points = sorted(entry_points(group=GROUP), key=lambda item: item.name)
    for point in [item for item in points if item.name == word] or points:
        _register(point, commands)
    pass_on_examples(parser)
    return parser


def pass_on_examples(parser: argparse.ArgumentParser, above: str = "") -> None:
    """Gives each command without examples the lines about it from the examples above it."""
    inner = [
        item
        for item in parser._actions  # noqa: SLF001  # argparse has no other way down
        if isinstance(item, argparse._SubParsersAction)  # noqa: SLF001  # the same
    ]
    if not inner and not parser.epilog:
        examples = (f"wharf {text.rstrip()}\n" for text in above.split("\n  wharf "))
        own = [
            text
            for text in examples
            if text.split("\n")[0].startswith(parser.prog + " ") or text == f"{parser.prog}\n"
        ]
        parser.epilog = "examples:\n" + "".join(f"  {text}" for text in own) if own else None
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
    for group in inner:
        for command in group.choices.values():
            pass_on_examples(command, f"{above}\n{parser.epilog or ''}")


def _word(argv: Sequence[str]) -> str | None:
    """The word that is typed: only its room is loaded, so `wharf verify` needs no gateway."""
    rest = list(argv)
    while rest and rest[0].startswith("-"):
        rest = rest[2:] if rest[0] == "--log" else rest[1:]
    return rest[0] if rest else None


def _register(
    point: EntryPoint, commands: "argparse._SubParsersAction[argparse.ArgumentParser]"
) -> None:
    try:
        register = point.load()
    except ImportError as error:
        missing = commands.add_parser(point.name, help=f"not installed: {error.name} is missing")
        mend = f"{point.name} needs {error.name}: pip install 'wharfinger[{_extra(point.name)}]'"
        missing.add_argument("rest", nargs=argparse.REMAINDER)
        missing.set_defaults(run=lambda _, mend=mend: _say(mend))
        return
    register(commands)


def _extra(name: str) -> str:
    return {
        "chain": "node",
        "prove": "node",
        "import": "node",
        "portal": "portal",
        "demo": "demo",
    }.get(name, "gateway")


def _say(text: str) -> int:
    sys.stderr.write(text + "\n")
    return EXIT_FAILED


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code. An error of ours is one line, never a traceback."""
    typed = sys.argv[1:] if argv is None else argv
    arguments = build_parser(_word(typed)).parse_args(typed)
    logging.basicConfig(
        level=arguments.log.upper(),
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        stream=sys.stderr,
    )
    try:
        return int(arguments.run(arguments))
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001  # the outer edge: a line if foreseen, else a trace
        if arguments.log == "debug" or not _is_foreseen(error):
            # Not raised: the interpreter would exit with 1, which is a verdict.
            traceback.print_exc()
            return EXIT_FAILED
        return _say(f"wharf: {_first(error)}")


def _first(error: BaseException) -> BaseException:
    """What went wrong first: a group only says that something did."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _is_foreseen(error: BaseException) -> bool:
    """True for errors of our own roots and of files, and for groups that hold only such."""
    if isinstance(error, BaseExceptionGroup):
        return all(_is_foreseen(item) for item in error.exceptions)
    if isinstance(error, OSError):  # it names the file itself
        return True
    package = type(error).__module__.split(".")[0]
    return package in ("ledger", "logistics", "firmware_bridge", "gateway", "consortium", "portal")


if __name__ == "__main__":
    sys.exit(main())
