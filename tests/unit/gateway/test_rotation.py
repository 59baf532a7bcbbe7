"""Another key follows: broken off anywhere, the same command goes on; refused, nothing changes."""

from pathlib import Path

import pytest

from consortium.errors import ChainUnavailableError
from firmware_bridge.keys.registry import create_key, open_signer
from gateway.config import GatewayConfig, parse_config
from gateway.errors import ConfigError, IdentityError, RotationRefusedError
from gateway.identity import get_identity, new_identity, put_identity
from gateway.rotation import TO_TELL, rotate, with_key_uri
from ledger.feed_store import get_value
from ledger.key_change import key_change_of
from ledger.signing import ES256, PublicKey, Signer, kid_of
from ledger.store import Store


class Door:
    """A chain machine that answers as told; what it was sent it remembers."""

    def __init__(self, *answers: int | Exception) -> None:
        self.answers, self.sent, self.signed_count = list(answers), list[bytes](), 0

    async def signed(self, signer: Signer, *, kind: int, feed_id: bytes, body: object) -> bytes:
        self.signed_count += 1
        return b"transaction %d of kind %d" % (self.signed_count, kind)

    async def submit(self, transaction: bytes) -> tuple[int, str]:
        self.sent.append(transaction)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer, "as told"


def text_of(folder: Path) -> str:
    return (
        f'[gateway]\nname = "g"\nparty = "p"\ndata_dir = "{folder}/data"\ndevelopment = true\n\n'
        f"[key]   # the token\nuri = 'file:{folder}/first.pem'  # now\n\n"
        '[[audience]]\nid = 1\nname = "uri = 3"\nreaders = []\n'
    )


@pytest.fixture
async def config(tmp_path: Path) -> GatewayConfig:
    """A gateway with a key in a file."""
    path = tmp_path / "gateway.toml"
    path.write_text(text_of(tmp_path))
    made = parse_config(path.read_text(), path)
    await create_key(made.key_uri, alg=ES256, development=True)
    signer = await open_signer(made.key_uri, development=True)
    store = Store(made.data_dir / "store")
    identity = new_identity(made, alg=signer.alg, spki=signer.public_key_der(), level=0)
    store.write(lambda txn: put_identity(txn, identity))
    store.close()
    return made


def held(config: GatewayConfig) -> tuple[bytes, object, str]:
    """(present key's id, what the feed is to tell, the file's key)."""
    store = Store(config.data_dir / "store")
    try:
        identity = store.read(get_identity)
        return (
            kid_of(identity.spki),
            store.read(lambda txn: get_value(txn, TO_TELL)),
            parse_config(config.path.read_text(), config.path).key_uri,
        )
    finally:
        store.close()


def second(config: GatewayConfig) -> str:
    return f"file:{config.path.parent}/second.pem"


async def test_the_new_key_is_the_feeds_and_both_have_signed_that(config: GatewayConfig) -> None:
    old = await open_signer(config.key_uri, development=True)
    rotated = await rotate(config, second(config), Door(0))
    kid, body, uri = held(config)
    assert (rotated.old_kid, rotated.new_kid, second(config)) == (old.kid, kid, uri)
    store = Store(config.data_dir / "store")
    identity = store.read(get_identity)
    store.close()
    key_change_of(identity.feed_id, body).check(PublicKey(old.alg, old.public_key_der()))
    assert identity.genesis_kid == old.kid


async def test_an_answer_that_was_lost_is_asked_for_with_the_same_bytes(
    config: GatewayConfig,
) -> None:
    door = Door(ChainUnavailableError("cut"), 6)  # 6: accepted before
    before = held(config)
    with pytest.raises(ChainUnavailableError):
        await rotate(config, second(config), door)
    assert before == held(config), "nothing counts before the chain has it"
    await rotate(config, second(config), door)
    assert (1, 1) == (door.signed_count, len(set(door.sent)))
    assert held(config)[2] == second(config)


async def test_a_file_that_was_not_written_any_more_is_written_by_the_next_try(
    config: GatewayConfig,
) -> None:
    await rotate(config, second(config), Door(0))
    after = held(config)
    config.path.write_text(text_of(config.path.parent))
    await rotate(config, second(config), Door())
    assert after == held(config)


async def test_a_refusal_changes_nothing_and_the_next_try_begins_anew(
    config: GatewayConfig,
) -> None:
    before, door = held(config), Door(36, 0)
    with pytest.raises(RotationRefusedError, match="36"):
        await rotate(config, second(config), door)
    assert before == held(config)
    await rotate(config, second(config), door)
    assert door.signed_count == 2


async def test_a_key_that_is_not_the_feeds_names_no_other(config: GatewayConfig) -> None:
    (config.path.parent / "first.pem").unlink()
    await create_key(config.key_uri, alg=ES256, development=True)
    with pytest.raises(IdentityError, match="lost key cannot be followed"):
        await rotate(config, second(config), Door(0))


def test_only_the_line_of_the_key_is_changed(tmp_path: Path) -> None:
    before, path = text_of(tmp_path), tmp_path / "gateway.toml"
    after = with_key_uri(before, "pkcs11:token=t", path)
    changed = [
        pair for pair in zip(before.splitlines(), after.splitlines(), strict=True)
        if pair[0] != pair[1]
    ]  # fmt: skip  # read as pairs
    assert ['uri = "pkcs11:token=t"  # now'] == [new for _, new in changed]
    with pytest.raises(ConfigError, match="write it yourself"):
        with_key_uri("[gateway]\nuri = 'x'\n", "pkcs11:token=t", path)
