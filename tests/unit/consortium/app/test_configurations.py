"""Kind 18: the chain puts an organisation's configurations in order."""

import pytest

from consortium.app.refusal import Code
from consortium.configurations import configuration_key, newest
from consortium.transaction import KIND_CONFIGURATION, KIND_REVOKE
from tests.fakes.gateway_feed import GatewayFeed
from tests.fakes.small_chain import SmallChain, admission, anchors, enrolment, gateway_tx, tx

FEED = GatewayFeed("cold room").grow(4)
FIRST, SECOND = b"1" * 32, b"2" * 32


def chain() -> SmallChain:
    made = SmallChain()
    made.block(admission("carrier"), admission("stranger"))
    made.block(enrolment(FEED, "carrier"), anchors([FEED.item(None, 1)]))
    return made


def send(made: SmallChain, version: int, digest: bytes, name: str = "carrier") -> Code:
    body = [1, FEED.feed_id, version, digest]
    (result,) = made.block(tx(KIND_CONFIGURATION, body, name, nonce=bytes([made.app.height]) * 16))
    return result.code


def held(made: SmallChain) -> tuple[int, bytes] | None:
    return newest(made.app.state.map.get(configuration_key(FEED.feed_id)))


def test_versions_follow_each_other_and_the_newest_is_held() -> None:
    made = chain()
    assert held(made) is None
    assert Code.ACCEPTED == send(made, 1, FIRST)
    assert Code.ACCEPTED == send(made, 2, SECOND)
    assert (2, SECOND) == held(made)


def test_of_two_texts_for_one_version_the_first_wins() -> None:
    made = chain()
    send(made, 1, FIRST)
    assert Code.VERSION_TAKEN == send(made, 1, SECOND)
    assert (1, FIRST) == held(made)


@pytest.mark.parametrize("version", [0, -1, 2, 3, 1 << 40])
def test_a_version_out_of_turn_is_refused(version: int) -> None:
    made = chain()
    assert Code.VERSION_TAKEN == send(made, version, FIRST)
    assert held(made) is None


def test_the_same_again_changes_nothing() -> None:
    made = chain()
    send(made, 1, FIRST)
    roots = made.app.state.roots
    assert Code.ACCEPTED == send(made, 1, FIRST)
    assert roots == made.app.state.roots


@pytest.mark.parametrize("name", ["operator", "stranger"])
def test_only_the_gateways_own_party_configures_it(name: str) -> None:
    made = chain()
    assert Code.UNAUTHORISED == send(made, 1, FIRST, name)


def test_a_gateway_does_not_configure_itself() -> None:
    made = chain()
    (result,) = made.block(gateway_tx(FEED, KIND_CONFIGURATION, [1, FEED.feed_id, 1, FIRST]))
    assert Code.UNAUTHORISED == result.code


def test_a_revoked_gateway_is_not_configured() -> None:
    made = chain()
    made.block(tx(KIND_REVOKE, [1, FEED.feed_id], "carrier"))
    assert Code.GATEWAY_REVOKED == send(made, 1, FIRST)


def test_an_unknown_gateway_and_a_short_digest_have_their_codes() -> None:
    made = chain()
    (unknown,) = made.block(tx(KIND_CONFIGURATION, [1, bytes(16), 1, FIRST], "carrier"))
    assert Code.GATEWAY_UNKNOWN == unknown.code
    assert Code.BODY_WRONG == send(made, 1, b"short")
