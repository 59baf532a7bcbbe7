"""What `wharf chain run` plugs into the bare chain machine: store of others' feeds, gossip,
proofs.
"""

import asyncio
import os
import time
from pathlib import Path
from typing import Any, Final

from consortium.compose import NodeParts, Plugins
from consortium.config import CERTIFICATE_NAME, READ_MODEL_NAME
from consortium.configuration_shelf import ConfigurationShelf
from consortium.deliveries import DeliveryDesk
from consortium.errors import ConfigError
from consortium.evidence_desk import EvidenceDesk
from consortium.feeds import FeedRoom, FeedSession
from consortium.file_keys import write_private
from consortium.followed import FOLLOWED_NAME, FollowedItems
from consortium.node import ChainNode
from consortium.pages_desk import PagesDesk
from consortium.peers import Channel, PeerCounts, PeerDesk
from consortium.proving import Prover
from consortium.read_model import OpenedBlock, OpenedEntry, ReadModel
from consortium.site_desk import SiteDesk
from consortium.tls import certificate_digest
from consortium.transaction import fields
from ledger.opening import OpenedRun
from ledger.peer import ROLE_GATEWAY, PeerName, Standing
from ledger.proof_bundle import Request
from ledger.sealed import KEY_BYTES, reader_public
from ledger.signing import PublicKey
from ledger.store import Store

READER_KEY_NAME: Final = "reader_key"
FEEDS_NAME: Final = "ledger.store"
ANCHORED_POLL_S: Final = 0.5
WAITING_SHARE: Final = 4  # a quarter of the streams may be of peers that have not said hello yet


def reader_secret(home: Path) -> bytes:
    """The X25519 secret by which this machine opens grants; made at first use."""
    path = home / READER_KEY_NAME
    if not path.exists():
        write_private(path, os.urandom(KEY_BYTES).hex().encode() + b"\n")
    try:
        secret = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {error}") from error
    if len(secret) != KEY_BYTES:
        raise ConfigError(f"{path}: not {KEY_BYTES} bytes in hexadecimal")
    return secret


def reader_key(home: Path) -> bytes:
    """The public key that gateways grant to, 32 bytes."""
    return reader_public(reader_secret(home))


async def plug_in(parts: NodeParts) -> Plugins:
    """The plug-ins of a chain machine, open and ready."""
    home = parts.config.home
    store = Store(home / FEEDS_NAME)
    model = ReadModel(home / READ_MODEL_NAME)
    followed = FollowedItems(home / FOLLOWED_NAME, genesis=parts.node.genesis_bytes())
    pages = PagesDesk(followed, parts.node, parts.party)

    def on_opened(opened: OpenedRun) -> None:
        block = opened_block(opened)
        model.add_block(block)
        followed.add_run(block)

    room = FeedRoom(store, parts.node, reader_secret=reader_secret(home), on_opened=on_opened)
    room.on_change(parts.poke)
    shelf = ConfigurationShelf(store, parts.node, room.key_of)
    room.notice_for = shelf.notice
    prover, evidence = Prover(room, parts.node), EvidenceDesk(room, parts.node)

    desk = _peer_desk(parts, room)

    async def prove(request: list[Any]) -> object:
        device_id, channel, from_ms, to_ms = fields(request, str, (str, type(None)), int, int)
        asked = Request(device_id=device_id, channel=channel, from_ms=from_ms, to_ms=to_ms)
        return await prover.prove(asked)

    async def aclose() -> None:
        store.close()
        model.close()
        followed.close()

    async def keep_anchored() -> None:
        looked_at, noted = -1, dict[bytes, list[Any]]()
        while True:
            if (height := parts.node.status().height) != looked_at:
                looked_at = height
                for feed_id in parts.node.enrolled_feeds():
                    _note_anchored(parts.node, model, feed_id, noted)
            await asyncio.sleep(ANCHORED_POLL_S)

    async def open_runs() -> None:
        await asyncio.to_thread(room.feed_again, _held_by_both(model, followed))
        await room.open_runs()

    return Plugins(
        gossip=desk,
        numbers=lambda: peer_numbers(desk.counts),
        heads=room,
        statements=room,
        operator_methods={
            "Prove": prove,
            "Site": SiteDesk(store, parts.node).site,
            "DryRun": evidence.dry_run,
            "Evidence": evidence.evidence,
            "Deliver": DeliveryDesk(room.receiver).deliver,
        },
        pages_methods=pages.methods(),
        chain_methods=shelf.methods(),
        tasks=[open_runs, keep_anchored, pages.keep_order],
        aclose=aclose,
    )


def _peer_desk(parts: NodeParts, room: FeedRoom) -> PeerDesk:
    """The door of this machine; its own certificate is pinned by whoever connects."""
    certificate = (parts.config.home / CERTIFICATE_NAME).read_bytes()
    channel = Channel(
        certificate_digest=certificate_digest(certificate),
        standing=lambda role, peer_id: standing(parts.node, role, peer_id),
        credential=bytes,
        wall_s=lambda: int(time.time()),
        mono_s=time.monotonic,
        new_nonce=os.urandom,
    )

    async def open_exchange(peer: PeerName) -> FeedSession:
        del peer  # whoever is known may carry any feed that the chain knows
        return await room.open_session()

    sessions_max = parts.config.server.sessions_max
    return PeerDesk(channel, open_exchange, waiting_max=sessions_max // WAITING_SHARE)


def standing(node: ChainNode, role: int, peer_id: bytes) -> Standing:
    """What the chain says of a peer."""
    if role == ROLE_GATEWAY:
        row = node.get("gateway", peer_id)
        if row is None:
            return Standing(None)
        return Standing(PublicKey(row[1], row[2]), is_ended=row[6] is not None)
    row = node.get("party", peer_id)
    if row is None:
        return Standing(None)
    suspended = node.get("suspended", peer_id)
    is_ended = suspended is not None and suspended[1] is None
    return Standing(PublicKey(row[1], row[2]), is_ended=is_ended)


def peer_numbers(counts: PeerCounts) -> dict[str, int]:
    """The door's counts for Prometheus."""
    return {
        "peers_admitted": counts.admitted,
        "peers_refused": counts.refused.total(),
        "peers_cut_off": counts.cut_off,
        "peers_displaced": counts.displaced,
    }


def _held_by_both(model: ReadModel, followed: FollowedItems) -> dict[tuple[bytes, int, int], int]:
    """Up to where neither needs an opened run again."""
    ours, theirs = model.heights(), followed.heights()
    return {key: min(ours[key], theirs[key]) for key in ours.keys() & theirs.keys()}


def _note_anchored(
    node: ChainNode, model: ReadModel, feed_id: bytes, noted: dict[bytes, list[Any]]
) -> None:
    """Tells the read model of a feed's newest anchor, unless it is the one noted before."""
    row = node.get("feed", feed_id, 0)
    if row is not None and noted.get(feed_id) != row:
        noted[feed_id] = row
        height, *_, time_ms = row
        model.set_anchored(feed_id, 0, height, time_ms=time_ms, chain_height=node.status().height)


def opened_block(opened: OpenedRun) -> OpenedBlock:
    """An opened run as the read model takes it."""
    header = opened.header
    return OpenedBlock(
        feed_id=header.feed_id,
        epoch=header.epoch,
        height=header.height,
        audience=opened.audience,
        block_digest=header.digest,
        first_index=opened.head.first,
        entries=tuple(
            OpenedEntry(
                kind=entry.kind,
                slot=entry.slot,
                time=entry.time.to_value(),
                srcseq=entry.srcseq,
                body=entry.body,
            )
            for entry in opened.entries
        ),
    )
