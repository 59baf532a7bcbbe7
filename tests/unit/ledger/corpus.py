"""Bundles, honest and not, that two verifiers have to judge alike."""

from collections.abc import Iterator
from dataclasses import replace

from ledger.canonical import decode, encode
from ledger.proof_bundle import body_digest
from tests.unit.ledger.attacks import ATTACKS, good
from tests.unit.ledger.feed_builder import FeedBuilder, Scene, good_scene, grown, scene_of
from tests.unit.ledger.test_verify import LIES

Case = tuple[str, bytes, bytes | None]  # name, file, trust root


def cases() -> Iterator[Case]:
    """Every known attack, and what is true."""
    scene = good_scene()
    yield from _honest(scene)
    target = scene_of(good())
    for attack in ATTACKS:
        part, _ = attack.made()
        yield attack.lie, replace(target.bundle(), feeds=(part,)).encode(), target.trust
    for lie, (forged, *_) in LIES.items():
        made, bundle = forged()
        yield lie, bundle.encode(), made.trust
    yield from _broken(scene)


def _honest(scene: Scene) -> Iterator[Case]:
    for base, last in ((None, 6), (None, 3), (1, 6), (2, 4), (5, 6)):
        data = scene.bundle(base=base, last=last).encode()
        yield f"honest {base} to {last}", data, scene.trust
    data = scene.bundle().encode()
    yield "without a trust root", data, None
    yield "under another trust root", data, bytes(32)


def _broken(scene: Scene) -> Iterator[Case]:
    data = scene.bundle().encode()
    yield "nothing", b"", scene.trust
    yield "another file", b"%PDF-1.7\n", scene.trust
    yield "a byte behind it", data + b"\0", scene.trust
    yield "cut in the middle", data[: len(data) // 2], scene.trust
    yield "deep nesting", b"\x81" * 100_000, scene.trust
    yield "a huge length", b"\x9b" + b"\xff" * 8, scene.trust


def changed_bytes(stride: int) -> Iterator[Case]:
    """A small bundle with one bit of one byte changed, and the digest made right again."""
    small = scene_of(grown(FeedBuilder(), 3))
    data = small.bundle().encode()
    for at in range(0, len(data), stride):
        changed = bytearray(data)
        changed[at] ^= 1 << at % 8
        yield f"byte {at}", _resealed(bytes(changed)), small.trust


def _resealed(data: bytes) -> bytes:
    try:
        value = decode(data)
        value[4] = body_digest(value[3])
        return encode(value)
    except Exception:  # noqa: BLE001  # most changed bytes are no bundle any more
        return data
