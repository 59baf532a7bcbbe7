"""Known answers from outside: the LEIs of GLEIF and Bloomberg, a USCC of the standard's form."""

import pytest

from consortium.app.legal_ids import is_lei, is_uscc, require_legal_id
from consortium.app.refusal import Code, Refused


@pytest.mark.parametrize("number", ["506700GE1G29325QX363", "5493001KJTIIGC8Y1R12"])
def test_real_leis_pass_and_every_changed_character_fails(number: str) -> None:
    assert is_lei(number)
    for at in range(20):
        alphabet = "0123456789" if number[at].isdigit() else "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
        other = alphabet[(alphabet.index(number[at]) + 1) % len(alphabet)]
        assert not is_lei(number[:at] + other + number[at + 1 :])


@pytest.mark.parametrize("number", ["91110000600037341L", "91350100M000100Y43"])
def test_real_usccs_pass_and_every_changed_character_fails(number: str) -> None:
    assert is_uscc(number)
    for at in range(18):
        other = "7" if number[at] != "7" else "8"
        assert not is_uscc(number[:at] + other + number[at + 1 :])


@pytest.mark.parametrize(
    ("scheme", "number"),
    [
        ("LEI", "506700GE1G29325QX364"),
        ("LEI", "506700ge1g29325qx363"),
        ("LEI", ""),
        ("USCC", "91110000600037341M"),
        ("USCC", "9111000060003734"),
        ("lei", "506700GE1G29325QX363"),
        ("", "1"),
        ("VAT", " DE1"),
        ("VAT", "1" * 65),
        ("VAT", "DE\n1"),
    ],
)
def test_ids_out_of_form_or_with_wrong_check_digits_are_refused(scheme: str, number: str) -> None:
    with pytest.raises(Refused) as refused:
        require_legal_id(scheme, number)
    assert refused.value.code == Code.LEGAL_ID_WRONG


def test_other_schemes_are_taken_as_they_stand() -> None:
    require_legal_id("VAT", "DE 123 456")
    require_legal_id("LEI", "506700GE1G29325QX363")
