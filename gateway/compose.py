"""Where the gateway's concrete parts meet."""

import asyncio
import hashlib
import logging
import shutil
import time
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from firmware_bridge.bridge import MqttBridge, run_device
from firmware_bridge.hubs import Hubs
from firmware_bridge.keys.registry import open_signer
from firmware_bridge.keys.tpm_counter import TpmCounter
from firmware_bridge.transports.mqtt import BrokerAddress
from firmware_bridge.transports.mqtt_board import MqttBoard
from gateway.alarm_board import AlarmBoard, raised_before
from gateway.alarms import AlarmWatch, Channel
from gateway.calibrations import Calibrations
from gateway.clock import SystemWall, TimeModel, boot_id, boottime_us
from gateway.config import GatewayConfig, PeerConfig
from gateway.deliveries import Deliveries
from gateway.device_records import DeviceRecords
from gateway.entry_maker import EntryMaker
from gateway.errors import ConfigError, IdentityError, NotInitialisedError
from gateway.head_counter import HeadCounter
from gateway.identity import Identity, audience_keys, get_identity, next_boot
from gateway.intake import Intake
from gateway.passport import Passport
from gateway.recovery import Found, losses, sort_out
from gateway.retention import Keeper, Room
from gateway.rotation import TO_TELL
from gateway.sealing import Cutter, FeedIdentity, HeadSigner
from gateway.service import Door, Gateway, Parts, damage_entries
from gateway.site_keeper import SiteKeeper
from gateway.slots import SlotBook, book_from_value
from gateway.uplink import Uplink
from gateway.wear import Count, WearMeter, device_count
from ledger.entry import (
    CONTROL_SLOT,
    KIND_BOOT,
    KIND_HEALTH,
    KIND_KEY_CHANGE,
    QUALITY_NTP,
    Entry,
    GTime,
    audience_of,
    decode_entry,
    encode_entry,
)
from ledger.feed_store import get_state, get_value, put_value
from ledger.journal import Journal, Recovered
from ledger.sealer import AudienceKey, FeedState, Pending
from ledger.signing import Signer, kid_of
from ledger.store import Store
from logistics.errors import BodyError
from logistics.health import AlarmChange
from logistics.reading import GapReason

if TYPE_CHECKING:
    from gateway.chain_door import ClientDoor

BEHIND: Final = "behind"  # why this store was found to be older than what a witness holds
SOFTWARE: Final = "wharfinger 0.1.0"
_log = logging.getLogger(__name__)


class Opened:
    """A gateway with its files open; `close` lets go of them."""

    def __init__(self, gateway: Gateway, parts: Parts) -> None:
        self.gateway, self.parts = gateway, parts

    def close(self) -> None:
        """Closes journal and store."""
        self.parts.intake.close()
        self.parts.store.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recovered:
    """What the disk gave at a start."""

    store: Store
    identity: Identity
    keys: dict[int, AudienceKey]
    state: FeedState
    book: SlotBook
    sealed_book: SlotBook
    clock: TimeModel
    journal: Journal
    damage: Recovered
    found: Found


def _recover(config: GatewayConfig, undo: ExitStack) -> _Recovered:
    """Opens store and journal and sorts out what a crash may have left."""
    if not (config.data_dir / "store").is_dir():
        raise NotInitialisedError(f"{config.data_dir}: no gateway here; run `wharf gateway init`")
    store = Store(config.data_dir / "store", waits_for_room=True)
    undo.callback(store.close)
    identity = store.read(get_identity)
    audiences = {item.id: item for item in config.audiences}
    keys = store.write(lambda txn: audience_keys(txn, identity, audiences))
    boot = store.write(lambda txn: next_boot(txn, boot_id()))
    state = store.read(lambda txn: get_state(txn, (identity.feed_id, 0)))
    state = state or FeedState(feed_id=identity.feed_id, slots={})
    saved = store.read(lambda txn: get_value(txn, "slot-book"))
    book = book_from_value(saved)
    journal, damage = Journal.open(config.data_dir / "journal", next_jseq=state.jseq_end + 1)
    undo.callback(journal.close)
    return _Recovered(
        store=store,
        identity=identity,
        keys=keys,
        state=state,
        book=book,
        sealed_book=book_from_value(saved),
        clock=TimeModel(boot, boottime_us, SystemWall()),
        journal=journal,
        damage=damage,
        found=sort_out(damage, state.jseq_end, book),
    )


def open_gateway(config: GatewayConfig, doors: Sequence[Door]) -> Opened:
    """The gateway of a configuration, recovered from its journal and ready to run.

    doors: one per configured chain machine, in their order. Raises NotInitialisedError, and the
    ledger's LocalError subclasses; its files are closed again then.
    """
    with ExitStack() as undo:
        opened = _opened(config, doors, _recover(config, undo))
        undo.pop_all()
        return opened


def _opened(config: GatewayConfig, doors: Sequence[Door], disk: _Recovered) -> Opened:
    check_audiences(config, disk.book)
    raised = disk.store.read(raised_before)
    _report_damage(config, disk.damage, disk.found)
    maker = EntryMaker(
        disk.book,
        disk.clock,
        audiences={device.spec.id: device.audience for device in config.devices},
        specs={device.spec.id: device.spec for device in config.devices},
        alarms=_watch(config, disk, raised),
        edge=config.edge,
    )
    pending = deque(disk.found.pending)
    pending.extend(_first_entries(disk, config, maker))
    intake = Intake(disk.journal, maker, pending, deliveries=Deliveries(disk.found.marks))
    intake.after_full = lambda since, until: _full_gaps(config, maker, since, until)
    alarms = AlarmBoard(
        maker.alarms, disk.store, _board(config), gateway=config.name, before=raised
    )
    intake.after_commit = alarms.look
    intake.counts.damages = len(disk.damage.corruptions)
    intake.counts.lost = disk.found.lost
    cutter = Cutter(
        store=disk.store,
        intake=intake,
        clock=disk.clock,
        sealed_book=disk.sealed_book,
        state=disk.state,
        keys=disk.keys,
        config=config.seal,
        config_digest=config_digest(config),
    )
    signer = HeadSigner(
        disk.store,
        cutter,
        FeedIdentity(party=config.party, gateway=config.name),
        wall_s=lambda: _wall_s(disk.clock),
        counter=_counter(config),
    )
    passport = Passport(
        config.data_dir,
        disk.store,
        (disk.identity.feed_id, 0),
        kid=kid_of(disk.identity.spki),
        known_s=lambda: _known_s(disk.clock),
    )
    signer.on_open, signer.on_close = passport.opened, passport.closed
    for door in doors:
        door.introduce_by(passport.answer)
    behind = disk.store.read(lambda txn: get_value(txn, BEHIND))
    if behind is not None:
        cutter.hold()
        signer.hold(behind)
    parts = _parts(
        config, disk, doors=doors, maker=maker, cutter=cutter, signer=signer, alarms=alarms,
        passport=passport,
    )  # fmt: skip  # one call
    return Opened(Gateway(parts), parts)


def open_doors(peers: Sequence[PeerConfig]) -> "list[ClientDoor]":
    """The doors to the configured machines; raises ConfigError for an unreadable certificate."""
    if not peers:
        return []
    from gateway.chain_door import open_door  # noqa: PLC0415  # gRPC: 8 MiB for nothing to talk to

    return [open_door(peer) for peer in peers]


def check_audiences(config: GatewayConfig, book: SlotBook) -> None:
    """Raises ConfigError where a device is given to other readers than its slots belong to."""
    wanted = {device.spec.id: device.audience for device in config.devices}
    for line in book.lines():
        channel, held = book.channel(line), audience_of(line.slot)
        if channel and wanted.get(channel[0], held) != held:
            mend = (
                f"device {channel[0]!r} is counted in audience {held} and stays there; "
                f"to let audience {wanted[channel[0]]} read it, give it a new id"
            )
            raise ConfigError(config.path, None, "audience", mend)


def _parts(
    config: GatewayConfig,
    disk: _Recovered,
    *,
    doors: Sequence[Door],
    maker: EntryMaker,
    cutter: Cutter,
    signer: HeadSigner,
    alarms: AlarmBoard,
    passport: Passport,
) -> Parts:
    feed, again = (disk.identity.feed_id, 0), asyncio.Event()
    site = _site(config, disk, maker=maker, intake=cutter.intake, signer=signer, again=again)
    return Parts(
        name=config.name,
        feed_id=disk.identity.feed_id,
        development=disk.identity.level == 0,
        store=disk.store,
        book=disk.book,
        clock=disk.clock,
        maker=maker,
        intake=cutter.intake,
        cutter=cutter,
        signer=signer,
        passport=passport,
        open_signer=lambda: _open_signer(config, disk.identity),
        mqtt=_mqtt(config, disk.clock),
        serial_specs=[d.spec for d in config.devices if not d.spec.source.startswith("mqtt:")],
        run_device=partial(
            run_device,
            mono_us=disk.clock.mono_us,
            wall_ms=lambda: _wall_ms(disk.clock),
            hubs=Hubs(),
        ),
        uplinks=[
            Uplink(
                door,
                disk.store,
                feed,
                genesis_sha256=peer.genesis_sha256,
                blocks_here=lambda: cutter.state.height,
                on_notice=partial(site.hear, place),
                behind=lambda reason: _hold(disk.store, cutter, signer, reason),
            )
            for place, (door, peer) in enumerate(zip(doors, config.peers, strict=True))
        ],
        alarms=alarms,
        calibrations=Calibrations(
            config.data_dir,
            maker,
            put=cutter.intake.put_made,
            groups=lambda: cutter.intake.counts.groups,
        ),
        wear=WearMeter(config.data_dir, partial(_written, config.data_dir)),
        keeper=_keeper(config, disk, doors),
        records=DeviceRecords(disk.store, disk.book, feed, signer=lambda: signer.signer),
        doors=doors,
        site=site,
        again=again,
    )


def _site(
    config: GatewayConfig,
    disk: _Recovered,
    *,
    maker: EntryMaker,
    intake: Intake,
    signer: HeadSigner,
    again: asyncio.Event,
) -> SiteKeeper:
    async def note(kind: int, body: list[Any]) -> None:
        await intake.put_made(lambda: [maker.control(kind, body)])

    return SiteKeeper(
        config,
        disk.book,
        feed_id=disk.identity.feed_id,
        mono_us=disk.clock.mono_us,
        signer=lambda: signer.signer,
        note=note,
        restart=again.set,
        check_audiences=lambda wished: check_audiences(wished, disk.book),
    )


def _counter(config: GatewayConfig) -> HeadCounter | None:
    """The hardware counter of the configuration."""
    if config.key_counter is None:
        return None
    every_s = config.key_counter_every_s
    return HeadCounter(TpmCounter(config.key_counter), every_s=every_s, mono_s=time.monotonic)


def _hold(store: Store, cutter: Cutter, signer: HeadSigner, reason: str) -> None:
    """A store behind its witnesses makes neither blocks nor heads, and stays so over restarts: by
    then it could have grown past what the witnesses hold, with other blocks at the same heights.
    """
    if not cutter.is_held:
        cutter.hold()
        signer.hold(reason)
        store.write_later(lambda txn: put_value(txn, BEHIND, reason))


def _wall_s(clock: TimeModel) -> int | None:
    wall_us = clock.now().wall_us
    return None if wall_us is None else wall_us // 1_000_000


def _known_s(clock: TimeModel) -> int | None:
    """The wall clock where its source can be trusted."""
    now = clock.now()
    trusted = now.wall_us is not None and now.quality >= QUALITY_NTP
    return now.wall_us // 1_000_000 if trusted and now.wall_us else None


def _wall_ms(clock: TimeModel) -> int | None:
    wall_us = clock.now().wall_us
    return None if wall_us is None else wall_us // 1000


def _watch(
    config: GatewayConfig, disk: _Recovered, raised: Sequence[tuple[Channel, bool]]
) -> AlarmWatch:
    """The alarms as they stood: what is kept of them, and what was journaled since."""
    watch = AlarmWatch(config.alarms, raised)
    slots = {line.slot: disk.book.channel(line) for line in disk.book.lines()}
    for item in disk.found.pending:
        channel = slots.get(item.entry.slot)
        if item.entry.kind == KIND_HEALTH and channel is not None:
            with suppress(BodyError):  # a word of a later release
                watch.replay(channel, AlarmChange.from_body(item.entry.body))
    return watch


def _board(config: GatewayConfig) -> MqttBoard | None:
    """Where alarms are shown; None without a rule, so that a box without a broker asks for none."""
    if not config.alarms:
        return None
    return MqttBoard(replace(_broker(config), client_id=f"wharf-{config.name}-alarms"))


def _written(folder: Path) -> Count:
    return device_count(folder, boot_id=boot_id(), uptime_s=boottime_us() // 1_000_000)


def _keeper(config: GatewayConfig, disk: _Recovered, doors: Sequence[Door]) -> Keeper:
    """Lets go of old readings, if the policy allows."""

    def room() -> Room:
        store = disk.store
        free = shutil.disk_usage(config.data_dir).free
        return Room(
            used=store.used_bytes, file=store.file_bytes, limit=store.map_bytes, disk_free=free
        )

    genesis = [peer.genesis_sha256 for peer in config.peers]
    return Keeper(
        disk.store,
        (disk.identity.feed_id, 0),
        config.retention,
        witnesses=list(zip(doors, genesis, strict=True)),
        now_s=lambda: _known_s(disk.clock),
        room=room,
    )


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _broker(config: GatewayConfig) -> BrokerAddress:
    return BrokerAddress(
        host=config.broker.host,
        port=config.broker.port,
        client_id=config.broker.client_id or f"wharf-{config.name}",
        username=config.broker.username,
        password_file=_text(config.broker.password_file),
        ca_file=_text(config.broker.ca_file),
    )


def _mqtt(config: GatewayConfig, clock: TimeModel) -> MqttBridge | None:
    specs = [item.spec for item in config.devices if item.spec.source.startswith("mqtt:")]
    if not specs:
        return None
    broker = _broker(config)
    return MqttBridge(specs, broker=broker, mono_us=clock.mono_us, wall_ms=lambda: _wall_ms(clock))


async def _open_signer(config: GatewayConfig, identity: Identity) -> Signer:
    """The signer, refused where its key is not the feed's."""
    signer = await open_signer(config.key_uri, development=config.development)
    if signer.public_key_der() != identity.spki:
        await signer.aclose()
        raise IdentityError(
            "the key in the token is not this feed's: a cloned card or an exchanged token; "
            "put the right token in, or enrol this box anew"
        )
    return signer


def _first_entries(disk: _Recovered, config: GatewayConfig, maker: EntryMaker) -> list[Pending]:
    """Journals what every start begins with: genesis (once), a boot entry, what damage took."""
    entries: list[Entry] = []
    if disk.book.next_srcseq(CONTROL_SLOT) == 0:
        genesis = decode_entry(disk.identity.genesis_entry)
        disk.book.apply(genesis)
        entries.append(genesis)
    entries.append(maker.control(KIND_BOOT, boot_body(config)))
    followed = disk.store.read(lambda txn: get_value(txn, TO_TELL))
    if followed is not None:
        entries.append(maker.control(KIND_KEY_CHANGE, followed))
    if disk.damage.corruptions:
        slots = [line.slot for line in disk.book.lines() if line.descriptor is not None]
        entries += damage_entries(maker, losses(disk.found, slots))
    for name in _unkept(config):
        maker.mark_absent(name, GapReason.GATEWAY_DOWN)
    data = [encode_entry(entry) for entry in entries]
    first = disk.journal.append(data)
    if followed is not None:
        # Told twice after a crash just here, which says no more than once.
        disk.store.write(lambda txn: put_value(txn, TO_TELL, None))
    rows = zip(entries, data, strict=True)
    return [Pending(first + offset, entry, raw) for offset, (entry, raw) in enumerate(rows)]


def config_digest(config: GatewayConfig) -> bytes:
    """SHA-256 of the text that this gateway runs on: what was sent to it, else its own file."""
    text = config.origin.text
    return hashlib.sha256(config.path.read_bytes() if text is None else text).digest()


def boot_body(config: GatewayConfig) -> list[Any]:
    """What a boot entry says: software, configuration, and who put that in force and why."""
    origin = config.origin
    return [2, SOFTWARE, config_digest(config), origin.kind, origin.version, origin.reason]


def _unkept(config: GatewayConfig) -> list[str]:
    """Devices that nobody keeps readings for while they are not taken."""
    return [
        device.spec.id
        for device in config.devices
        if not device.spec.source.startswith("mqtt:") or not config.broker.persistent
    ]


def _full_gaps(config: GatewayConfig, maker: EntryMaker, since: GTime, until: GTime) -> list[Entry]:
    """What a full disk cost the lines that nobody keeps readings for."""
    reason = GapReason.DISK_FULL
    return [
        entry
        for name in _unkept(config)
        for entry in maker.lost_between(name, reason, since=since, until=until)
    ]


def _report_damage(config: GatewayConfig, recovered: Recovered, found: Found) -> None:
    for damage in recovered.corruptions:
        _log.critical(
            "journal_damaged segment=%d offset=%d size_bytes=%d after_jseq=%d",
            damage.segment_id,
            damage.offset,
            damage.size_bytes,
            damage.after_jseq,
        )
    for jseq, data in found.quarantined:
        path = config.data_dir / "quarantine" / f"{jseq}.entry"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        path.chmod(0o600)
        _log.critical("entry_quarantined jseq=%d file=%s", jseq, path)
