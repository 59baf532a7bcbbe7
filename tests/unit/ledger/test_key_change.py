"""One key follows another: both sign one statement, which no other structure begins like."""

from dataclasses import replace

import pytest

from consortium.file_keys import FileSigner
from ledger.errors import FormatError, SignatureError
from ledger.key_change import KeyChange, key_change_of
from ledger.signing import PublicKey
from tests.fakes.small_chain import signer

FEED = b"f" * 16


async def change(old: FileSigner, new: FileSigner) -> KeyChange:
    bare = KeyChange(feed_id=FEED, old_kid=old.kid, alg=new.alg, spki=new.public_key_der(), level=1)
    return await bare.signed(old, new)


def public(own: FileSigner) -> PublicKey:
    return PublicKey(own.alg, own.public_key_der())


async def test_a_change_that_both_keys_signed_holds_and_survives_its_entry() -> None:
    old, new = signer("old"), signer("new")
    made = await change(old, new)
    made.check(public(old))
    assert made == key_change_of(FEED, made.to_body())
    assert made.statement().startswith(b"wharf/rotate/1")
    assert made.new_key == public(new)


@pytest.mark.parametrize("name", ["feed_id", "level", "old_signature", "new_signature"])
async def test_no_part_of_it_may_change(name: str) -> None:
    old = signer("old")
    made = await change(old, signer("new"))
    other = {"feed_id": bytes(16), "level": 2}.get(name, bytes(64))
    with pytest.raises(SignatureError):
        replace(made, **{name: other}).check(public(old))  # type: ignore[arg-type]  # by its name


async def test_a_change_is_of_the_key_that_it_names_and_to_another() -> None:
    old = signer("old")
    with pytest.raises(FormatError):
        (await change(old, signer("new"))).check(public(signer("third")))
    with pytest.raises(FormatError):
        (await change(old, old)).check(public(old))


@pytest.mark.parametrize(
    "spoil",
    [lambda b: b[:-1], lambda b: [2, *b[1:]], lambda b: [1, 2, *b[2:]], lambda _: "text",
     lambda b: [True, *b[1:]]],
    ids=["short", "version", "kind", "no list", "a truth value"],
)  # fmt: skip
async def test_an_entry_out_of_form_is_refused(spoil: object) -> None:
    body = (await change(signer("old"), signer("new"))).to_body()
    with pytest.raises(FormatError):
        key_change_of(FEED, spoil(body))  # type: ignore[operator]  # a function
