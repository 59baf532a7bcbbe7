"""The pages of docs/formats, held: what stands there in hex is what the code reads and makes."""

import re
from functools import cache
from pathlib import Path

import pytest

from ledger.block import decode_header, decode_run_body, decode_run_head
from ledger.canonical import decode, decode_sequence, encode
from ledger.columns import pack, unpack
from ledger.conflict import check_conflict
from ledger.entry import decode_entry, encode_entry, feed_id_of, genesis_leaf
from ledger.errors import NotCanonicalError
from ledger.feed_store import feed_prefix
from ledger.gossip import CHALLENGE, GRANT, HELLO, PART, block_messages, decode_message, message
from ledger.hashing import leaf_hash, sha256
from ledger.head import decode_head, verify_inclusion_receipt
from ledger.journal import FRAME_HEADER_BYTES, MAGIC, Journal, frame
from ledger.opening import open_run
from ledger.peer import ROLE_GATEWAY, Standing, check_hello
from ledger.proof_bundle import decode_bundle
from ledger.sealed import open_grant, place_of, run_key
from ledger.signed_grant import GrantPlace, check_grant, sealed_in
from ledger.signing import PublicKey, public_key_of
from ledger.store import TABLES, sealed, unsealed
from ledger.summary import summary_of
from ledger.verdict import Code, Outcome
from ledger.verify import verify_bundle
from tests.unit.ledger.feed_builder import FeedBuilder, X
from tests.unit.ledger.held_feed import parts_of

FORMATS = Path(__file__).parents[3] / "docs" / "formats"
PAGES = ("cbor", "entry", "block", "head", "grant", "journal", "store", "gossip", "bundle")


def page(name: str) -> str:
    return (FORMATS / f"{name}.md").read_text()


@cache
def examples(name: str) -> dict[str, bytes]:
    found = re.findall(r"```hex ([\w-]+)\n([0-9a-f\s]+)```", page(name))
    return {title: bytes.fromhex(text) for title, text in found}


def example_feed() -> FeedBuilder:
    """The feed of the worked examples: a descriptor, a reading, one block."""
    feed = FeedBuilder("example")
    feed.describe(X)
    feed.read(X, 1)
    feed.cut()
    return feed


FEED = example_feed()
KEY: PublicKey = public_key_of(examples("head")["public-key"])


def test_every_page_has_a_worked_example_that_is_read_here() -> None:
    without = {name for name in PAGES if not examples(name)}
    assert {"cbor"} == without, "its examples stand in tables"


def test_cbor_rows_are_accepted_and_refused_as_the_page_says() -> None:
    accepted, refused = page("cbor").split("## Refused")
    rows = re.findall(r"^\| `([0-9a-f]+)` \|", accepted.split("## Accepted")[1], re.MULTILINE)
    assert len(rows) > 8
    for text in rows:
        assert text == encode(decode(bytes.fromhex(text))).hex()
    wrong = re.findall(r"^\| `([0-9a-f]+)` \|", refused, re.MULTILINE)
    assert len(wrong) > 8
    for text in wrong:
        with pytest.raises(NotCanonicalError):
            decode(bytes.fromhex(text))


def test_entries_leaves_and_summaries_are_those_of_the_page() -> None:
    shown = examples("entry")
    entry = decode_entry(shown["entry"])
    assert (1, X, 1, 4000, -3) == (entry.kind, entry.slot, entry.srcseq, *entry.body[1:3])
    assert shown["entry"] == encode_entry(entry) == shown["leaf"][16:]
    assert shown["leaf"] == FEED.leaves[3]
    assert shown["feed-id"] == feed_id_of(shown["genesis"]) == FEED.feed[0]
    assert genesis_leaf(shown["genesis"]) == FEED.leaves[0]
    summary = summary_of(decode_entry(shown["summary"]))
    assert (X, 2, 0, 2, 2, 2, False) == (
        summary.slot, summary.total, summary.height, summary.first_index, summary.count,
        summary.descriptor_index, summary.retired,
    )  # fmt: skip


def test_a_block_opens_from_the_pages_bytes_alone() -> None:
    shown = examples("block")
    header, head = decode_header(shown["block-header"]), decode_run_head(shown["run-head"])
    body = decode_run_body(shown["run-body"])
    assert (shown["block-digest"], shown["run-digest"], shown["body-digest"]) == (
        header.digest,
        header.run_digest(1),
        head.body_digest,
    )
    assert (head.digest, body.digest) == (shown["run-digest"], shown["body-digest"])
    key = run_key(
        shown["audience-key"], body.run_salt, place_of(header, audience=1, key_epoch=head.key_epoch)
    )
    assert (shown["run-key"], shown["key-commit"]) == (key.secret, key.commitment)
    assert shown["salts"] == key.salts(head.count)
    assert shown["plain"] == key.decrypt(shown["ciphertext"], body)
    opened = open_run(
        header=header, audience=1, head=head, body=body, ciphertext=shown["ciphertext"], key=key
    )
    assert examples("entry")["leaf"] == opened.leaves[1]


def test_columns_give_the_entries_of_the_page_and_are_made_of_them() -> None:
    shown = examples("block")
    plain, columns = shown["columns-plain"], shown["columns"]
    assert plain == unpack(columns, len(plain))
    assert columns == pack([decode_entry(raw) for _, raw in decode_sequence(plain)])


def test_the_page_lists_the_eleven_reasons() -> None:
    listed = re.findall(r"^\| (\d+) \| ", page("block"), re.MULTILINE)
    assert [str(number) for number in range(1, 12)] == listed


def test_the_head_and_its_receipt_verify_from_the_page() -> None:
    shown = examples("head")
    head = decode_head(shown["head"])
    head.verify(KEY)
    assert (shown["head-tbs"], shown["head-digest"]) == (
        head.claim.tbs(),
        sha256(shown["head-tbs"]),
    )
    assert head.claim.digest == shown["head-digest"]
    leaf = leaf_hash(examples("entry")["leaf"])
    claim, index = verify_inclusion_receipt(shown["inclusion-receipt"], leaf, KEY)
    assert (head.claim, 3) == (claim, index)
    lower, higher = check_conflict(shown["conflict"], KEY)
    assert (0, 0) == (lower.height, higher.height)


def test_the_grant_opens_with_the_readers_secret() -> None:
    shown = examples("grant")
    grant = open_grant(shown["sealed-grant"], shown["reader-secret"])
    assert grant is not None
    assert [1, grant.feed_id, grant.audience, grant.key_epoch, grant.key] == decode(shown["grant"])
    assert examples("block")["audience-key"] == grant.key


def test_a_segment_made_of_the_pages_bytes_is_read(tmp_path: Path) -> None:
    shown = examples("journal")
    assert MAGIC + (1).to_bytes(4, "big") + bytes(20) == shown["segment-header"]
    data = (shown["segment-header"] + shown["frames"]).ljust(4096, b"\x00")
    (tmp_path / "journal-0000000001.seg").write_bytes(data)
    journal, recovered = Journal.open(tmp_path, segment_bytes=4096)
    journal.close()
    entries = [examples("entry")["genesis"], examples("entry")["entry"]]
    assert (tuple(enumerate(entries, 1)), ()) == (recovered.entries, recovered.corruptions)
    frames = b"".join(frame(1, jseq, data) for jseq, data in recovered.entries)
    assert shown["frames"] == frames
    assert 2 * FRAME_HEADER_BYTES + sum(map(len, entries)) == len(frames)


def test_store_keys_and_values_are_those_of_the_page() -> None:
    shown = examples("store")
    prefix = feed_prefix(FEED.feed)
    assert prefix + bytes(8) == shown["store-key-header"]
    assert prefix + bytes(8) + b"\x00\x01" == shown["store-key-run"]
    node = prefix + b"\x00\x02" + bytes(8)
    assert node == shown["store-key-node"]
    value = unsealed("nodes", node, shown["stored-value"])
    assert FEED.tree.read(2, 0) == value
    assert shown["stored-value"] == sealed("nodes", node, value)
    rows = re.findall(r"^\| ([a-z_, ]+) \|", page("store"), re.MULTILINE)
    assert set(TABLES) <= {name for row in rows for name in row.split(", ")}


def test_messages_are_those_of_the_page() -> None:
    shown = examples("gossip")
    kinds = [decode_message(data)[0] for data in shown.values()]
    assert [*range(1, 9), CHALLENGE, HELLO] == kinds
    for data in shown.values():
        kind, fields = decode_message(data)
        assert data == message(kind, *fields)
    made = block_messages(FEED.feed, 0, parts_of(FEED.blocks[0]))
    assert decode_message(made[0])[1][0] == decode_message(shown["message-block"])[1][0]
    kind, fields = decode_message(shown["message-part"])
    assert (PART, examples("block")["ciphertext"]) == (kind, fields[5])
    kind, fields = decode_message(shown["message-grant"])
    assert (GRANT, examples("grant")["signed-grant"]) == (kind, fields[4])


def test_the_hello_of_the_page_is_let_in_and_its_grant_is_the_feeds() -> None:
    shown = examples("gossip")
    _, (nonce, now_s, _) = decode_message(shown["message-challenge"])
    _, (credential, certificate, proof) = decode_message(shown["message-hello"])
    peer = check_hello(
        credential=credential,
        certificate=certificate,
        proof=proof,
        server_digest=sha256(b"server certificate"),
        nonce=nonce,
        standing=lambda *_: Standing(KEY),
        now_s=now_s,
    )
    assert (ROLE_GATEWAY, FEED.feed[0]) == peer
    place = GrantPlace(feed_id=FEED.feed[0], epoch=0, audience=1, key_epoch=0)
    check_grant(examples("grant")["signed-grant"], place, KEY)
    assert examples("grant")["sealed-grant"] == sealed_in(examples("grant")["signed-grant"])


def test_the_bundle_of_the_page_is_proven_under_its_trust_root() -> None:
    shown = examples("bundle")
    answer = verify_bundle(shown["bundle"], trusted_genesis_sha256=shown["trust"])
    assert Outcome.PROVEN == answer.outcome
    assert 1 == answer.values(Code.COMPLETE)[0]["readings"]
    bundle = decode_bundle(shown["bundle"])
    assert (shown["bundle"], examples("head")["head"]) == (bundle.encode(), bundle.feeds[0].head)
    assert examples("block")["block-header"] == bundle.feeds[0].headers[0].encode()
    other = verify_bundle(shown["bundle"], trusted_genesis_sha256=bytes(32))
    assert Outcome.REFUTED == other.outcome
