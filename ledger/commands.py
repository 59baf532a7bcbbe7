"""`wharf` commands of the ledger alone."""

import argparse


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds nothing yet: verifying is `wharf verify`, which adds words to what is found here."""
    del commands
