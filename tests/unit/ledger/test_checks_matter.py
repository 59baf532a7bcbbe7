"""Each check of the verifier is taken away in turn, and the attack that it stops then passes."""

import importlib
from typing import Any

import pytest

from ledger import feed_proof
from ledger.feed_proof import check_feed_part
from tests.unit.ledger.attacks import ATTACKS, Attack


def nothing(*_: Any, **__: Any) -> None:
    """A check that checks nothing."""


def only_those_there(self: Any, span: range) -> list[int]:
    return [index for index in span if index in self._leaves and self.raw(index)]


WITHOUT: dict[str, Any] = {
    "feed_proof.Leaves.all_of": only_those_there,
    "feed_proof.Leaves.check_root": staticmethod(nothing),
}


def take_away(monkeypatch: pytest.MonkeyPatch, check: str) -> None:
    """Removes a check by its dotted name inside `ledger`, wherever its name was imported to."""
    module, _, name = check.partition(".")
    owner: Any = importlib.import_module(f"ledger.{module}")
    while "." in name:
        inner, _, name = name.partition(".")
        owner = getattr(owner, inner)
    assert hasattr(owner, name)
    monkeypatch.setattr(owner, name, WITHOUT.get(check, nothing))
    if hasattr(feed_proof, name):
        monkeypatch.setattr(feed_proof, name, WITHOUT.get(check, nothing))


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.lie)
def test_without_its_check_this_passes(attack: Attack, monkeypatch: pytest.MonkeyPatch) -> None:
    part, key = attack.made()
    for check in attack.checks:
        take_away(monkeypatch, check)
    check_feed_part(part, key)
