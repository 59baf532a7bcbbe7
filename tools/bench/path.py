"""The ledger's path of a reading without the event loop: decode, journal, seal, sign, store.

As in the gateway, blocks are sealed and signed beside the intake, on a thread of their own.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from firmware_bridge.devices import Arrival
from gateway.deliveries import Deliveries
from gateway.sealing import stats_of
from ledger.entry import Entry, encode_entry, feed_id_of
from ledger.head import NO_HEAD, Head
from ledger.sealer import AudienceKey, Cut, FeedState, Pending, cut, head_claim
from ledger.signing import ES256, PublicKey, low_s
from tools.bench.durable import Durable
from tools.bench.load import AUDIENCE, Delivery, Line, arrival_of, genesis_bytes

BLOCK_ENTRIES: Final = 4096  # the gateway's default
AUDIENCE_KEY: Final = b"k" * 32


class SoftKey:
    """An ES256 key in memory: what a token takes longer for is not measured here."""

    def __init__(self) -> None:
        self._private = ec.derive_private_key(20261123, ec.SECP256R1())
        public = self._private.public_key()
        spki = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.public = PublicKey(ES256, spki)

    def sign(self, tbs: bytes) -> bytes:
        """64 bytes r || s with low S."""
        r, s = decode_dss_signature(self._private.sign(tbs, ec.ECDSA(SHA256())))
        return low_s(r.to_bytes(32, "big") + s.to_bytes(32, "big"))


class LedgerPath:
    """Takes groups of messages in; cuts and signs a block whenever enough entries wait."""

    def __init__(self, durable: Durable, line: Line, *, block_entries: int = BLOCK_ENTRIES) -> None:
        self._durable, self._block_entries = durable, block_entries
        self.line = line
        self.key = SoftKey()
        self.state = FeedState(feed_id=feed_id_of(genesis_bytes()), slots={})
        self.head: Head | None = None
        self.cuts: list[Cut] = []
        self.seconds: Counter[str] = Counter()
        self._pending: list[Pending] = []
        self._marks = Deliveries()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sealer")
        self._sealing: Future[None] | None = None
        self._keep([self.line.genesis])

    @contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        begun = time.perf_counter()
        yield
        self.seconds[part] += time.perf_counter() - begun  # type: ignore[assignment]  # a Counter sums anything

    def group(self, deliveries: list[Delivery]) -> None:
        """One group of messages: durable when this returns, and sealed if a block was due."""
        with self._timed("decode the payload"):
            arrivals = [arrival_of(item) for item in deliveries]
        self.take_in(arrivals)

    def take_in(self, arrivals: Sequence[Arrival]) -> None:
        """One group as the bridge hands it on."""
        with self._timed("make the entry"):
            entries = self.line.entries(arrivals)
            mark = self._marks.mark(arrivals)
        self._keep(entries, mark)
        if len(self._pending) >= self._block_entries and self._is_idle:
            self._begin_seal()

    @property
    def _is_idle(self) -> bool:
        return self._sealing is None or self._sealing.done()

    def _begin_seal(self) -> None:
        pending, self._pending = self._pending, []
        if self._sealing is not None:
            self._sealing.result()
        self._sealing = self._thread.submit(self._seal, pending)

    def seal(self) -> None:
        """Seal all that waits, and return when it is signed."""
        self._begin_seal()
        if self._sealing is not None:
            self._sealing.result()

    def close(self) -> None:
        """End the sealing thread."""
        self._thread.shutdown(wait=True)

    def _keep(self, entries: list[Entry], mark: bytes | None = None) -> None:
        with self._timed("encode the entry"):
            data = [encode_entry(entry) for entry in entries]
        with self._timed("journal with its sync"):
            first = self._durable.append([*data, mark] if mark else data)
        rows = zip(entries, data, strict=True)
        self._pending += [Pending(first + at, entry, raw) for at, (entry, raw) in enumerate(rows)]

    def _seal(self, pending: list[Pending]) -> None:
        with self._timed("seal: salts, leaves, zstd, encryption"):
            made = cut(
                self.state,
                pending,
                time=self.line.clock.now(),
                keys={AUDIENCE: AudienceKey(key_epoch=0, key=AUDIENCE_KEY)},
                fresh_salt=lambda: os.urandom(32),
                stats_of=lambda _slot, sealed: stats_of(sealed),
            )
        with self._timed("store the block"):
            self._durable.save_cut(made)
        self.state = made.state
        self.cuts.append(made)
        with self._timed("sign: intent, signature, head"):
            self._sign()

    def _sign(self) -> None:
        claim = head_claim(
            self.state,
            alg=ES256,
            kid=self.key.public.kid,
            issuer="bench",
            subject="bench",
            issued_at_s=0,
            counter=None,
            prev_head_digest=self.head.claim.digest if self.head else NO_HEAD,
        )
        self._durable.save_intent([claim.protected(), claim.root])
        self.head = Head(claim, self.key.sign(claim.tbs()))
        self._durable.save_head(self.head)

    def open_slots(self, sensors: int) -> None:
        """Bring every sensor's descriptor behind us, so that what is measured is readings."""
        self.group(self.line.take(sensors))
        self.seal()
        self.seconds.clear()
        self.cuts.clear()
