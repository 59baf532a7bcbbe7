"""GS1 check digits, against the standard's own examples."""

import pytest

from logistics.errors import IdentifierError
from logistics.identifiers import gs1_check_digit, require_check_digit


def test_check_digits_are_the_ones_of_gs1() -> None:
    assert "3" == gs1_check_digit("629104150021")
    assert "6291041500213" == require_check_digit("6291041500213")
    for wrong in ("6291041500214", "", "123", "629104150021x"):
        with pytest.raises(IdentifierError):
            require_check_digit(wrong)
