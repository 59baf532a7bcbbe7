"""What a gateway proves who it is by: made once, renewed in time, kept while the key is away."""

from pathlib import Path

import pytest

from gateway.errors import IdentityError
from gateway.passport import LIFE_S, RENEW_S, SIGNER_WAIT_S, Passport
from ledger.errors import FormatError
from ledger.gossip import CHALLENGE, decode_message, message
from ledger.hashing import sha256
from ledger.mirror import accept_grant, grants_of
from ledger.peer import Standing, check_hello
from ledger.signed_grant import GrantPlace, check_grant
from ledger.store_exchange import StoreSource, sealed_grants
from tests.fakes.gateway_parts import Box, MemorySigner
from tests.fakes.virtual_time import now_s as loop_s
from tests.fakes.virtual_time import virtual_time

KEY, OTHER = MemorySigner(), MemorySigner("another")
SERVER, NONCE = sha256(b"server"), b"n" * 32


class Holder:
    """A gateway's passport over a real store; the clock is set by hand."""

    def __init__(self, box: Box, folder: Path, key: MemorySigner = KEY) -> None:
        folder.mkdir(exist_ok=True)
        self.passport = Passport(
            folder, box.store, box.feed, kid=key.kid, known_s=lambda: self.now_s
        )
        self.now_s: int | None = 1_800_000_000

    async def hello(self, their_s: int = 1_800_000_000, key: MemorySigner = KEY) -> None:
        """Raises unless a machine whose clock says `their_s` lets it in."""
        challenge = message(CHALLENGE, NONCE, their_s, b"")
        _, (credential, certificate, proof) = decode_message(
            await self.passport.answer(challenge, SERVER)
        )
        check_hello(
            credential=credential,
            certificate=certificate,
            proof=proof,
            server_digest=SERVER,
            nonce=NONCE,
            standing=lambda *_: Standing(key.public),
            now_s=their_s,
        )


@virtual_time
async def test_the_word_of_the_key_outlives_its_absence_and_a_restart(tmp_path: Path) -> None:
    box, folder = Box(tmp_path), tmp_path / "peer"
    holder = Holder(box, folder)
    await holder.passport.opened(KEY)
    await holder.hello()
    holder.passport.closed()
    signed = len(KEY.signed)
    await Holder(box, folder).hello()
    assert signed == len(KEY.signed)
    box.close()


@virtual_time
async def test_it_is_renewed_at_half_its_life_and_never_used_beyond_it(tmp_path: Path) -> None:
    box, key = Box(tmp_path), MemorySigner()
    holder = Holder(box, tmp_path / "peer", key)
    await holder.passport.opened(key)
    await holder.passport.opened(key)
    assert 1 == len(key.signed)
    holder.now_s = 1_800_000_000 + RENEW_S + 1
    await holder.passport.opened(key)
    assert 2 == len(key.signed)
    holder.passport.closed()
    holder.now_s += LIFE_S + 1
    with pytest.raises(IdentityError):
        await holder.hello(holder.now_s)
    assert loop_s() >= SIGNER_WAIT_S
    box.close()


@virtual_time
async def test_a_box_that_does_not_know_the_time_takes_the_machines(tmp_path: Path) -> None:
    box = Box(tmp_path)
    holder = Holder(box, tmp_path / "peer")
    holder.now_s = None
    await holder.passport.opened(KEY)
    await holder.hello(1_900_000_000)
    box.close()


@virtual_time
async def test_another_key_says_it_anew(tmp_path: Path) -> None:
    box, folder = Box(tmp_path), tmp_path / "peer"
    await Holder(box, folder).passport.opened(KEY)
    after = Holder(box, folder, OTHER)
    await after.passport.opened(OTHER)
    await after.hello(key=OTHER)
    box.close()


@virtual_time
async def test_grants_leave_the_box_once_the_present_key_signed_them(tmp_path: Path) -> None:
    box = Box(tmp_path)
    box.store.write(
        lambda txn: accept_grant(txn, box.feed, audience=1, key_epoch=0, sealed=b"sealed")
    )
    source = StoreSource(box.store, [box.feed])
    assert [] == source.grants(box.feed)
    for key in (KEY, OTHER):
        await Holder(box, tmp_path / "peer", key).passport.opened(key)
        ((audience, key_epoch, signed),) = source.grants(box.feed)
        place = GrantPlace(feed_id=box.feed[0], epoch=0, audience=audience, key_epoch=key_epoch)
        check_grant(signed, place, key.public)
    assert 1 == len(box.store.read(lambda txn: sealed_grants(txn, box.feed)))
    assert [b"sealed"] == box.store.read(lambda txn: grants_of(txn, box.feed))
    box.close()


@virtual_time
async def test_what_is_no_challenge_is_not_answered(tmp_path: Path) -> None:
    box = Box(tmp_path)
    with pytest.raises(FormatError):
        await Holder(box, tmp_path / "peer").passport.answer(message(2, b"f" * 16, 0, 0, 0), SERVER)
    box.close()
