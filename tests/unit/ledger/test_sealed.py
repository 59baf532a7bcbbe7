import struct
from dataclasses import replace

import pytest
import zstandard
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from nacl.public import PrivateKey, SealedBox

from ledger.canonical import encode
from ledger.errors import FormatError, OpeningError
from ledger.sealed import (
    GRANT_BYTES_MAX,
    Grant,
    RunKey,
    _expand,
    decompress,
    open_grant,
    reader_public,
    run_key,
    seal_grant,
)
from tests.unit.ledger.bad_runs import rle_bomb, squeezed
from tests.unit.ledger.feed_builder import FeedBuilder, grown, seed

FEED = grown(FeedBuilder(), 4)
RUN = FEED.run(3, 1)
assert RUN is not None
KEY: RunKey = FEED.run_key(FEED.headers[3], RUN)
SECRET = seed("reader")
GRANT = Grant(feed_id=FEED.feed[0], audience=1, key_epoch=4, key=seed("audience"))


def test_a_run_key_is_bound_to_feed_epoch_height_audience_and_key_epoch() -> None:
    place = KEY.place
    info = (
        b"wharf/run/1" + place.feed_id + bytes(4) + (3).to_bytes(8, "big") + b"\x00\x01" + bytes(4)
    )
    hkdf = HKDF(algorithm=SHA256(), length=32, salt=RUN.body.run_salt, info=info)  # type: ignore[union-attr]  # it is there
    assert hkdf.derive(FEED.keys[1].key) == KEY.secret
    places = [
        replace(place, feed_id=bytes(16)), replace(place, epoch=1), replace(place, height=4),
        replace(place, audience=2), replace(place, key_epoch=1),
    ]  # fmt: skip
    secrets = {run_key(FEED.keys[1].key, bytes(32), p).secret for p in [place, *places]}
    assert 6 == len(secrets)


def chacha20_block(key: bytes, counter: int) -> bytes:
    """RFC 8439, section 2.3, with a nonce of zeros."""
    words = [
        *struct.unpack("<4I", b"expand 32-byte k"),
        *struct.unpack("<8I", key),
        counter,
        0,
        0,
        0,
    ]
    state = list(words)

    def quarter(a: int, b: int, c: int, d: int) -> None:
        for to, by, turned, bits in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            state[to] = (state[to] + state[by]) & 0xFFFFFFFF
            mixed = state[turned] ^ state[to]
            state[turned] = (mixed << bits | mixed >> (32 - bits)) & 0xFFFFFFFF

    for _ in range(10):
        for column in range(4):
            quarter(column, column + 4, column + 8, column + 12)
        for a in range(4):
            quarter(a, 4 + (a + 1) % 4, 8 + (a + 2) % 4, 12 + (a + 3) % 4)
    return struct.pack("<16I", *((x + y) & 0xFFFFFFFF for x, y in zip(state, words, strict=True)))


def test_salts_are_the_chacha20_keystream_in_leaf_order() -> None:
    # RFC 8439, appendix A.1, test vector 1.
    assert chacha20_block(bytes(32), 0).hex().startswith("76b8e0ada0f13d90405d6ae55386bd28")
    key = _expand(KEY.secret, b"wharf/salt/1")
    stream = b"".join(chacha20_block(key, counter) for counter in range(3))
    assert stream[:160] == KEY.salts(10)
    assert KEY.salts(3) == KEY.salts(10)[:48]


def test_a_wrong_key_or_ciphertext_proves_nothing() -> None:
    assert RUN is not None
    wrong = RunKey(bytes(32), KEY.place)
    for key, ciphertext in ((wrong, RUN.ciphertext), (KEY, RUN.ciphertext + b"\x00")):
        with pytest.raises(OpeningError) as caught:
            key.decrypt(ciphertext, RUN.body)
        assert caught.value.reason is None


def test_another_place_does_not_decrypt() -> None:
    assert RUN is not None
    moved = RunKey(KEY.secret, replace(KEY.place, height=9))
    with pytest.raises(OpeningError) as caught:
        moved.decrypt(RUN.ciphertext, RUN.body)
    assert 1 == caught.value.reason


PLAIN = b"abcdefghij" * 30


@pytest.mark.parametrize("level", [1, 3, 9, 19, 22])
def test_any_compression_level_opens(level: int) -> None:
    assert PLAIN == decompress(squeezed(PLAIN, level=level), len(PLAIN))


def test_a_bomb_is_stopped_at_the_size_that_it_stated() -> None:
    for blocks in (1, 2, 8000):
        with pytest.raises(OpeningError) as caught:
            decompress(rle_bomb(300, blocks), 300)
        assert caught.value.reason in (2, 3)


@pytest.mark.parametrize(
    ("frame", "plain_bytes", "reason"),
    [
        (squeezed(PLAIN) + b"junk", 300, 3),
        (squeezed(PLAIN) * 2, 300, 3),
        (squeezed(PLAIN)[:-1], 300, 3),
        (squeezed(PLAIN), 299, 2),
        (squeezed(PLAIN, write_content_size=False), 300, 2),
        (b"", 300, 3),
        (b"\x50\x2a\x4d\x18\x04\x00\x00\x00junk", 300, 2),
        (squeezed(b"x" * (17 << 20)), 17 << 20, 2),
        (squeezed(PLAIN, dict_data=zstandard.ZstdCompressionDict(PLAIN)), 300, 3),
        (
            squeezed(bytes(9 << 20), level=22, threads=0),
            9 << 20,
            3,
        ),
    ],
    ids=["junk", "two", "cut", "size", "no size", "empty", "skippable", "huge", "dict", "window"],
)
def test_what_is_not_exactly_one_frame_of_the_stated_size_is_named(
    frame: bytes, plain_bytes: int, reason: int
) -> None:
    with pytest.raises(OpeningError) as caught:
        decompress(frame, plain_bytes)
    assert reason == caught.value.reason


def test_a_grant_is_read_by_its_reader_alone_and_names_nobody() -> None:
    box = seal_grant(GRANT, reader_public(SECRET))
    assert GRANT == open_grant(box, SECRET)
    assert open_grant(box, seed("another")) is None
    assert box != seal_grant(GRANT, reader_public(SECRET))
    assert len(box) <= GRANT_BYTES_MAX


@pytest.mark.parametrize(
    "value",
    [
        b"\xff", encode([1]), encode([2, bytes(16), 1, 0, bytes(32)]),
        encode([1, bytes(15), 1, 0, bytes(32)]), encode([1, bytes(16), 1, 0, bytes(31)]),
        encode([1, bytes(16), "1", 0, bytes(32)]), encode({}),
    ],
)  # fmt: skip
def test_a_box_that_holds_no_grant_is_refused(value: bytes) -> None:
    box = SealedBox(PrivateKey(SECRET).public_key).encrypt(value)
    with pytest.raises(FormatError):
        open_grant(box, SECRET)


def test_a_box_of_any_size_is_not_even_tried() -> None:
    with pytest.raises(FormatError):
        open_grant(bytes(GRANT_BYTES_MAX + 1), SECRET)
