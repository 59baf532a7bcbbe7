"""The audience keys that were granted to this machine, and which of several is the true one.

A grant is a sealed box without a signature: whoever knows a feed's name and this machine's reader
key can make one. So a key counts only once it fits a run's commitment, and a wrong one changes
nothing.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

from ledger.entry import PUBLIC_AUDIENCE
from ledger.feed_store import FeedName, feeds, get_run, get_value, need_header, put_value
from ledger.hashing import sha256
from ledger.mirror import blocks_held, grants_of
from ledger.sealed import PUBLIC_KEY, open_grant, place_of, run_key
from ledger.store import Store, Transaction

NAME_BYTES: Final = 16

Place = tuple[bytes, int, int]  # feed id, audience, key epoch


class ReaderKeys:
    """Candidates for the key of each feed, audience and key epoch."""

    def __init__(self, store: Store, reader_secret: bytes) -> None:
        self._store, self._reader_secret = store, reader_secret
        self._keys: defaultdict[Place, list[bytes]] = defaultdict(list)
        self._seen: set[bytes] = set()

    def learn(self, feed: FeedName, on_fit: Callable[[Transaction], None]) -> None:
        """Opens new grants. `on_fit` is called, in the transaction that reckons with them, where
        one fits a block that is held already.
        """
        grants = self._store.read(lambda txn: grants_of(txn, feed))
        fresh = [sealed for sealed in grants if sealed not in self._seen]
        learnt: list[tuple[Place, bytes]] = []
        for sealed in fresh:
            self._seen.add(sealed)
            grant = open_grant(sealed, self._reader_secret)
            if grant is not None and grant.feed_id == feed[0]:
                place = (grant.feed_id, grant.audience, grant.key_epoch)
                self._keys[place].append(grant.key)
                learnt.append((place, grant.key))
        if learnt:
            self._store.write(lambda txn: _account(txn, feed, learnt=learnt, on_fit=on_fit))

    def key_for(self, feed_id: bytes, audience: int, key_epoch: int) -> bytes | None:
        """An audience's key, None where this machine was given none."""
        if audience == PUBLIC_AUDIENCE:
            return PUBLIC_KEY
        place = (feed_id, audience, key_epoch)
        keys = self._keys.get(place, [])
        if len(keys) > 1:
            true = self._store.read(partial(_fitting, place=place, keys=keys))
            # What fitted once fits for ever: the others are lies, and are let go of.
            self._keys[place] = keys = [true] if true else keys
        return keys[0] if keys else None


def _account(
    txn: Transaction,
    feed: FeedName,
    *,
    learnt: Iterable[tuple[Place, bytes]],
    on_fit: Callable[[Transaction], None],
) -> None:
    """Notes keys as reckoned with; `on_fit` is called where a new one fits a held block."""
    name = f"keys-{feed[0].hex()}-{feed[1]}"
    known: list[bytes] = get_value(txn, name) or []
    fits = False
    for place, key in learnt:
        digest = sha256(key)[:NAME_BYTES]
        if digest not in known:
            known.append(digest)
            fits = _fitting(txn, place, [key]) is not None or fits
    put_value(txn, name, known)
    if fits:
        on_fit(txn)


def _fitting(txn: Transaction, place: Place, keys: Iterable[bytes]) -> bytes | None:
    """The one of these keys that the newest run of the place commits to, None where none does."""
    feed_id, audience, key_epoch = place
    for feed in (feed for feed in feeds(txn) if feed[0] == feed_id):
        for height in reversed(range(blocks_held(txn, feed))):
            run = get_run(txn, feed, height=height, audience=audience)
            if run is None or run.head.key_epoch != key_epoch:
                continue
            where = place_of(need_header(txn, feed, height), audience=audience, key_epoch=key_epoch)
            for key in keys:
                if run_key(key, run.body.run_salt, where).commitment == run.body.key_commit:
                    return key
            break
    return None
