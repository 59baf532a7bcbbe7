"""Key URIs: what they name, and that a PIN in one is refused."""

import pytest

from firmware_bridge.errors import SpecError
from firmware_bridge.keys.uri import TokenUri, parse_file_uri, parse_token_uri

PATHS = "module-path=/usr/lib/p11.so&pin-source=file:/etc/pin"


@pytest.mark.parametrize(
    "uri",
    [
        f"pkcs11:token=my%20wharf;object=ledger?{PATHS}",
        "pkcs11:token=my%20wharf;object=ledger;module-path=/usr/lib/p11.so;pin-source=file:/etc/pin",
    ],
)
def test_attributes_may_stand_on_either_side_of_the_question_mark(uri: str) -> None:
    expected = TokenUri(
        token="my wharf", object="ledger", module_path="/usr/lib/p11.so", pin_source="/etc/pin"
    )
    assert expected == parse_token_uri(uri)


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        (f"pkcs11:token=a;object=b?{PATHS}&pin-value=1234", "PIN"),
        (f"pkcs11:token=a?{PATHS}", "'object' is missing"),
        (f"pkcs11:token=a;token=b;object=c?{PATHS}", "doubled"),
        (f"pkcs11:token=a;object=b;colour=red?{PATHS}", "unknown"),
        ("pkcs11:token=a;object=b?module-path=/x&pin-source=/etc/pin", "file:"),
        ("file:/key.pem", "not pkcs11"),
    ],
)
def test_a_wrong_uri_says_what_is_wrong_and_never_the_pin(uri: str, reason: str) -> None:
    with pytest.raises(SpecError, match=reason) as caught:
        parse_token_uri(uri)
    assert "1234" not in str(caught.value)


def test_file_uris_are_absolute() -> None:
    assert "/a b" == parse_file_uri("file:///a%20b")
    with pytest.raises(SpecError):
        parse_file_uri("file:key.pem")
