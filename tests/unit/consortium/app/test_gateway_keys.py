"""Keys that follow each other, revocation and retirement, as the chain sees them."""

import pytest

from consortium.app.refusal import Code
from consortium.transaction import KIND_DEVICE, KIND_RETIRE, KIND_REVOKE, KIND_ROTATE
from ledger.canonical import decode
from ledger.proven_records import EARLIER_KEYS_MAX, device_rows, gateway_record
from tests.fakes.gateway_feed import GatewayFeed
from tests.fakes.small_chain import (
    SmallChain,
    admission,
    anchors,
    enrolment,
    gateway_tx,
    tx,
)

DIGEST = b"d" * 32


def chain_of(feed: GatewayFeed, level: int = 0) -> SmallChain:
    chain = SmallChain()
    assert chain.block(enrolment(feed, level=level))[0].code == Code.ACCEPTED
    return chain


def code_of(chain: SmallChain, data: bytes) -> Code:
    return chain.block(data)[0].code


def rotated(chain: SmallChain, feed: GatewayFeed, name: str) -> None:
    assert code_of(chain, gateway_tx(feed, KIND_ROTATE, feed.rotation(name))) == Code.ACCEPTED
    feed.follow(name)


def test_heads_of_the_old_key_count_before_and_of_the_new_one_after() -> None:
    feed = GatewayFeed("truck").grow(2)
    chain = chain_of(feed)
    assert code_of(chain, anchors([feed.item(None, 0)])) == Code.ACCEPTED
    late, stolen = feed.item(0, 1), feed.key
    rotated(chain, feed, "second")
    assert code_of(chain, anchors([late])) == Code.KEY_ROTATED
    assert code_of(chain, anchors([feed.item(0, 1)])) == Code.ACCEPTED
    feed.grow()
    owned, feed.key = feed.key, stolen
    assert code_of(chain, anchors([feed.item(1, 2)])) == Code.ANCHOR_KEY, "signed by the old key"
    feed.key = owned
    assert code_of(chain, anchors([feed.item(1, 2)])) == Code.ACCEPTED


def test_an_anchored_head_of_the_old_key_is_accepted_again_without_effect() -> None:
    feed = GatewayFeed("truck").grow()
    chain = chain_of(feed)
    first = feed.item(None, 0)
    chain.block(anchors([first]))
    rotated(chain, feed, "second")
    (result,) = chain.block(anchors([first], nonce=b"again" + bytes(11)))
    assert (Code.ACCEPTED, 0) == (result.code, result.records)


def test_the_record_tells_every_key_with_its_times() -> None:
    feed = GatewayFeed("truck")
    chain = chain_of(feed, level=1)
    first = feed.spki
    rotated(chain, feed, "second")
    second = feed.spki
    rotated(chain, feed, "third")
    value = chain.get("gateway", feed.feed_id)
    assert value is not None
    record = gateway_record(decode(value))
    assert [first, second, feed.spki] == [period.key.spki for period in record.keys]
    assert [1, 0, 0] == [period.level for period in record.keys]
    times = [(period.from_ms, period.to_ms) for period in record.keys]
    assert times[0][1] == times[1][0]
    assert times[1][1] == times[2][0]
    assert times[2][1] is None
    assert (None, False) == (record.ended_ms, record.retired)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("not the new key's signature", Code.ROTATION_WRONG),
        ("a key that is somebody's", Code.KEY_IN_USE),
        ("its own key", Code.ROTATION_WRONG),
        ("a higher level by the gateway itself", Code.UNAUTHORISED),
        ("another party's gateway", Code.UNAUTHORISED),
    ],
)
def test_no_key_follows_without_both_signatures_and_a_right(name: str, code: Code) -> None:
    feed = GatewayFeed("truck")
    chain = chain_of(feed)
    chain.block(admission("carrier"))
    body = {
        "not the new key's signature": feed.rotation("second", signed_by="third"),
        "a key that is somebody's": feed.rotation("carrier"),
        "its own key": feed.rotation("truck"),
        "a higher level by the gateway itself": feed.rotation("second", level=1),
        "another party's gateway": feed.rotation("second"),
    }[name]
    foreign = name.startswith("another")
    data = tx(KIND_ROTATE, body, "carrier") if foreign else gateway_tx(feed, KIND_ROTATE, body)
    before = chain.get("gateway", feed.feed_id)
    assert (code, before) == (code_of(chain, data), chain.get("gateway", feed.feed_id))


def test_the_party_may_say_that_the_new_key_rests_on_better_hardware() -> None:
    feed = GatewayFeed("truck")
    chain = chain_of(feed)
    body = feed.rotation("second", level=1)
    assert code_of(chain, tx(KIND_ROTATE, body)) == Code.ACCEPTED


def test_the_statement_of_one_change_is_no_other_ones() -> None:
    feed = GatewayFeed("truck")
    chain = chain_of(feed)
    first = feed.rotation("second")
    rotated(chain, feed, "second")
    rotated(chain, feed, "third")
    again = [*first[:3], *feed.rotation("fourth")[3:5], *first[5:]]
    assert code_of(chain, tx(KIND_ROTATE, again)) == Code.ROTATION_WRONG


def test_the_old_key_sends_nothing_any_more() -> None:
    feed = GatewayFeed("truck")
    chain = chain_of(feed)
    body = [1, feed.feed_id, [["probe", 1, DIGEST, 0, None]]]
    by_the_old = gateway_tx(feed, KIND_DEVICE, body)
    rotated(chain, feed, "second")
    assert code_of(chain, by_the_old) == Code.KEY_REVOKED
    assert code_of(chain, gateway_tx(feed, KIND_DEVICE, body)) == Code.ACCEPTED


def test_a_feed_has_a_bounded_number_of_keys() -> None:
    feed = GatewayFeed("truck")
    chain = chain_of(feed)
    for number in range(EARLIER_KEYS_MAX):
        rotated(chain, feed, f"key {number}")
    last = gateway_tx(feed, KIND_ROTATE, feed.rotation("one more"))
    assert code_of(chain, last) == Code.KEYS_FULL


@pytest.mark.parametrize(
    ("kind", "code"), [(KIND_REVOKE, Code.GATEWAY_REVOKED), (KIND_RETIRE, Code.GATEWAY_RETIRED)]
)
def test_after_the_end_nothing_new_counts_whatever_key_signs(kind: int, code: Code) -> None:
    feed = GatewayFeed("truck").grow(2)
    chain = chain_of(feed)
    chain.block(anchors([feed.item(None, 0)]))
    rotated(chain, feed, "second")
    assert code_of(chain, tx(kind, [1, feed.feed_id])) == Code.ACCEPTED
    assert code_of(chain, tx(kind, [1, feed.feed_id], nonce=b"n" * 16)) == Code.ACCEPTED
    assert code_of(chain, anchors([feed.item(0, 1)])) == code
    assert code_of(chain, tx(KIND_ROTATE, feed.rotation("third"))) == code
    rows = [1, feed.feed_id, [["late", 2, DIGEST, 0, None]]]
    assert code_of(chain, tx(KIND_DEVICE, rows)) == code


@pytest.mark.parametrize("kind", [KIND_REVOKE, KIND_RETIRE])
def test_the_end_of_a_feed_closes_its_devices_and_another_feed_takes_them(kind: int) -> None:
    feed, other = GatewayFeed("truck"), GatewayFeed("next truck")
    chain = chain_of(feed)
    chain.block(enrolment(other))
    far_ms = 1 << 45
    rows = [["probe", 1, DIGEST, 5, None], ["door", 2, DIGEST, far_ms, None],
            ["old", 3, DIGEST, 5, 9]]  # fmt: skip
    chain.block(tx(KIND_DEVICE, [1, feed.feed_id, rows]))
    chain.block(tx(KIND_DEVICE, [1, other.feed_id, [["scale", 1, DIGEST, 5, None]]]))
    chain.block(tx(kind, [1, feed.feed_id]))
    taken = [["probe", 7, DIGEST, 6, None]]
    assert code_of(chain, tx(KIND_DEVICE, [1, other.feed_id, taken])) == Code.ACCEPTED

    def ends(device: str) -> list[int | None]:
        value = chain.get("device", device)
        assert value is not None
        return [row.to_ms for row in device_rows(decode(value))]

    ended_ms = ends("probe")[0]
    gateway = chain.get("gateway", feed.feed_id)
    assert gateway is not None
    assert ended_ms == gateway_record(decode(gateway)).ended_ms
    assert [[ended_ms, None], [far_ms], [9], [None]] == [
        ends("probe"), ends("door"), ends("old"), ends("scale"),
    ]  # fmt: skip


def test_a_stolen_token_cannot_end_the_feed() -> None:
    feed = GatewayFeed("truck")
    chain = chain_of(feed)
    for kind in (KIND_REVOKE, KIND_RETIRE):
        assert code_of(chain, gateway_tx(feed, kind, [1, feed.feed_id])) == Code.UNAUTHORISED
    chain.block(admission("carrier"))
    assert code_of(chain, tx(KIND_RETIRE, [1, feed.feed_id], "carrier")) == Code.UNAUTHORISED


def test_what_was_revoked_is_not_called_retired() -> None:
    feed = GatewayFeed("truck")
    chain = chain_of(feed)
    chain.block(tx(KIND_REVOKE, [1, feed.feed_id]))
    assert code_of(chain, tx(KIND_RETIRE, [1, feed.feed_id])) == Code.GATEWAY_REVOKED
