import pytest

from consortium.enrolment import PREFIX, EnrolmentCode, decode_enrolment, encode_enrolment
from consortium.errors import EnrolmentCodeError
from tests.fakes.gateway_feed import GatewayFeed

FEED = GatewayFeed("cold room")
CODE = EnrolmentCode(
    feed_id=FEED.feed_id,
    alg=-8,
    spki=FEED.spki,
    genesis_leaf=FEED.genesis_leaf,
    gateway_name="cold room",
    party_name="ACME",
    level=1,
    devices=(("probe", 65_537, b"d" * 32, 5),),
)
TEXT = encode_enrolment(CODE)


def test_a_code_survives_being_copied_with_line_breaks() -> None:
    assert TEXT.startswith(PREFIX)
    assert decode_enrolment(f" {TEXT[:40]}\n  {TEXT[40:]}\n") == CODE


@pytest.mark.parametrize("at", range(len(PREFIX), len(TEXT), 7))
def test_a_mistyped_character_is_found(at: int) -> None:
    other = "A" if TEXT[at] != "A" else "B"
    with pytest.raises(EnrolmentCodeError):
        decode_enrolment(TEXT[:at] + other + TEXT[at + 1 :])


@pytest.mark.parametrize("text", ["", "wharf2-abc", TEXT[:-5], TEXT + "A", "wharf1-***", "wharf1-"])
def test_what_is_no_code_is_refused_in_words(text: str) -> None:
    with pytest.raises(EnrolmentCodeError):
        decode_enrolment(text)


def test_a_code_of_another_version_is_refused() -> None:
    import base64

    from ledger.canonical import encode
    from ledger.hashing import sha256

    payload = encode([2, b"f" * 16, -8, b"", b"", "", "", 0, []])
    text = PREFIX + base64.urlsafe_b64encode(payload + sha256(payload)[:4]).rstrip(b"=").decode()
    with pytest.raises(EnrolmentCodeError, match="another version"):
        decode_enrolment(text)
