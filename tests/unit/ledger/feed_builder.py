"""Feeds, small chains and whole bundles in memory, honest or not; proofs made without a store.

`FeedBuilder` seals by the real sealer, but an `edit` may change a run before it is sealed: the liar
of these tests is a gateway that holds its own key. `FeedBuilder.part` makes proofs from all leaves
in clear, so that it also proves what an honest prover would refuse to.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ledger import sealer
from ledger.block import Block, BlockHeader, Run
from ledger.canonical import decode_sequence, encode
from ledger.chain_genesis import Genesis, GenesisParty
from ledger.chain_proof import (
    AppRoots,
    ChainPart,
    Commit,
    LogLeaf,
    ProvenLeaf,
    ProvenState,
    SignedHeader,
    encode_chain_part,
)
from ledger.comet import BlockId, ChainHeader, Validator, validator_set_hash, vote_sign_bytes
from ledger.entry import (
    CONTROL_SLOT,
    KIND_BOOT,
    KIND_DESCRIPTOR,
    KIND_GENESIS,
    KIND_TELEMETRY,
    SALT_BYTES,
    Entry,
    GTime,
    audience_of,
    decode_entry,
    encode_entry,
    feed_id_of,
    slot_number,
)
from ledger.errors import LedgerError
from ledger.hashing import leaf_hash, sha256
from ledger.head import NO_HEAD, Head, HeadClaim
from ledger.merkle import MemoryTree, merge_ranges, range_path
from ledger.proof_bundle import Bundle, FeedPart, Request
from ledger.sealed import place_of, run_key, salted_leaves
from ledger.sealer import AudienceKey, Cut, FeedState, Pending
from ledger.signing import EDDSA, ES256, PublicKey, low_s
from ledger.state_map import state_map_of
from ledger.summary import Summary, summary_of

START_MS = 1_767_225_600_000
X, Y, Z = slot_number(1, 1), slot_number(1, 2), slot_number(2, 1)
RunPart = sealer._RunPart
Edit = Callable[[RunPart], None]


def seed(name: str) -> bytes:
    """32 bytes that follow from a name."""
    return sha256(name.encode())


class FeedBuilder:
    """One gateway's feed, grown block by block."""

    def __init__(self, name: str = "truck", *, alg: int = EDDSA, salt: str = "salt") -> None:
        self.name, self.salt, self._salts_used = name, salt, 0
        self.alg = alg
        if alg == ES256:
            self._ec = ec.derive_private_key(int.from_bytes(seed(name), "big") >> 1, ec.SECP256R1())
            public: Any = self._ec.public_key()
        else:
            self._ed = Ed25519PrivateKey.from_private_bytes(seed(name))
            public = self._ed.public_key()
        spki = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.key = PublicKey(alg, spki)
        self.now = 0
        self.keys = {
            number: AudienceKey(key_epoch=0, key=seed(f"{name} audience {number}"))
            for number in (1, 2, 3)
        }
        self.pending: list[Pending] = []
        self._srcseq: dict[int, int] = {}
        self._jseq = 0
        body = [1, seed(name)[:16], alg, spki, "party", name]
        genesis = Entry(KIND_GENESIS, CONTROL_SLOT, GTime(1, 1, None, 0, 0), 0, body)
        self.state = FeedState(feed_id=feed_id_of(encode_entry(genesis)), slots={})
        self.put(genesis)
        self._srcseq[CONTROL_SLOT] = 1
        self.leaves: list[bytes] = []
        self.tree, self.header_tree = MemoryTree(), MemoryTree()
        self.blocks: list[Block] = []
        self.cuts: list[Cut] = []

    @property
    def feed(self) -> tuple[bytes, int]:
        return self.state.feed_id, self.state.epoch

    @property
    def headers(self) -> list[BlockHeader]:
        return [block.header for block in self.blocks]

    def sign(self, tbs: bytes) -> bytes:
        if self.alg == EDDSA:
            return self._ed.sign(tbs)
        r, s = decode_dss_signature(self._ec.sign(tbs, ec.ECDSA(SHA256())))
        return low_s(r.to_bytes(32, "big") + s.to_bytes(32, "big"))

    def time(self) -> GTime:
        """The next moment: one second on."""
        self.now += 1
        return GTime(1, self.now * 1_000_000, (START_MS + self.now * 1000) * 1000, 3, 50_000)

    def put(self, entry: Entry) -> None:
        self._jseq += 1
        self.pending.append(Pending(self._jseq, entry, encode_entry(entry)))

    def add(self, kind: int, slot: int, body: Any = None) -> Entry:
        """Counts one entry of a slot."""
        number = self._srcseq.get(slot, 0)
        self._srcseq[slot] = number + 1
        entry = Entry(kind, slot, self.time(), number, body)
        self.put(entry)
        return entry

    def describe(self, slot: int, device_id: str = "probe", channel: str = "temp") -> Entry:
        body = [1, device_id, channel, "temperature", "CEL", "gateway", "test", None, None, 1000]
        return self.add(KIND_DESCRIPTOR, slot, body)

    def read(self, slot: int, count: int = 1, value: int = 4000) -> None:
        for number in range(count):
            self.add(KIND_TELEMETRY, slot, [1, value + number, -3, "CEL", 0, None, None])

    def _fresh_salt(self) -> bytes:
        self._salts_used += 1
        return seed(f"{self.name} {self.salt} {self._salts_used}")

    def cut(self, edit: Edit | None = None) -> Block:
        """The next block over all that is pending; `edit` may change each run before sealing."""
        real = sealer._RunPart

        class Edited(real):  # type: ignore[misc, valid-type]  # the liar's
            def fill(self, slots: Any, by_slot: Any) -> None:
                super().fill(slots, by_slot)
                if edit:
                    edit(self)

        sealer._RunPart = Edited  # type: ignore[misc]  # put back below
        try:
            made = sealer.cut(
                self.state,
                self.pending,
                time=self.time(),
                keys=self.keys,
                fresh_salt=self._fresh_salt,
                stats_of=lambda _, entries: len(entries),
            )
        finally:
            sealer._RunPart = real  # type: ignore[misc]  # as it was
        self.state, self.pending = made.state, []
        self.cuts.append(made)
        self._take(made.block)
        return made.block

    def _take(self, block: Block) -> None:
        for run in block.runs:
            for leaf in self.open(block.header, run):
                self.leaves.append(leaf)
                self.tree.append(leaf_hash(leaf))
        self.blocks.append(block)
        self.header_tree.append(block.header.digest)

    def run_key(self, header: BlockHeader, run: Run) -> Any:
        place = place_of(header, audience=run.audience, key_epoch=run.head.key_epoch)
        secret = self.keys[run.audience].key if run.audience else bytes(32)
        return run_key(secret, run.body.run_salt, place)

    def open(self, header: BlockHeader, run: Run) -> list[bytes]:
        """A run's leaves, nothing checked."""
        key = self.run_key(header, run)
        plain = key.decrypt(run.ciphertext, run.body)
        raw = [item for _, item in decode_sequence(plain)]
        salts = key.salts(len(raw))
        if run.head.first == 0 and run.audience == 0:
            salts = bytes(SALT_BYTES) + salts[SALT_BYTES:]
        return salted_leaves(raw, salts)

    def claim(self, height: int | None = None, **changes: Any) -> HeadClaim:
        height = len(self.blocks) - 1 if height is None else height
        header = self.blocks[height].header
        claim = HeadClaim(
            alg=self.alg,
            kid=self.key.kid,
            issuer="party",
            subject=self.name,
            issued_at_s=START_MS // 1000 + height,
            feed_id=header.feed_id,
            epoch=header.epoch,
            height=height,
            size=header.size,
            counter=None,
            block_root=self.header_tree.root(height + 1),
            prev_head_digest=NO_HEAD,
            root=header.root,
        )
        return replace(claim, **changes)

    def head(self, height: int | None = None, **changes: Any) -> Head:
        claim = self.claim(height, **changes)
        return Head(claim, self.sign(claim.tbs()))

    def entry(self, index: int) -> Entry:
        return decode_entry(self.leaves[index][SALT_BYTES:])

    def summary(self, slot: int, height: int) -> Summary | None:
        """What stands where the slot's summary must stand, None where it has no such place."""
        run = self.run(height, audience_of(slot))
        if run is None or slot not in run.head.slots:
            return None
        try:
            return summary_of(self.entry(run.head.summary_index(slot)))
        except LedgerError:
            return None

    def run(self, height: int, audience: int) -> Run | None:
        runs = {run.audience: run for run in self.blocks[height].runs}
        return runs.get(audience)

    def indexes(self, slots: Collection[int], base: int | None, last: int) -> set[int]:
        """Leaves that a proof of these slots shows."""
        wanted = {0}
        for slot in slots:
            found: Summary | None = None
            for height in range(base or 0, last + 1):
                run = self.run(height, audience_of(slot))
                if run is None or slot not in run.head.slots:
                    continue
                wanted.add(run.head.summary_index(slot))
                found = self.summary(slot, height) or found
                if found and found.height == height and height != base:
                    wanted |= set(range(found.first_index, found.first_index + found.count))
            if found:
                wanted.add(found.descriptor_index)
        return {index for index in wanted if index < self.headers[last].size}

    def part(
        self,
        slots: Sequence[int] = (X,),
        *,
        base: int | None = None,
        last: int | None = None,
        omit: Collection[int] = (),
        extra: Collection[int] = (),
    ) -> FeedPart:
        """A feed part of these slots and the control slot."""
        last = len(self.blocks) - 1 if last is None else last
        asked = sorted({CONTROL_SLOT, *slots})
        indexes = (self.indexes(asked, base, last) | set(extra)) - set(omit)
        return self.part_of(asked, indexes, range(base or 0, last + 1))

    def part_of(self, slots: Sequence[int], indexes: Collection[int], heights: range) -> FeedPart:
        """A feed part that shows exactly these leaves."""
        last = heights[-1]
        ranges = merge_ranges([(index, 1) for index in indexes])
        headers = [self.headers[height] for height in heights]
        audiences = sorted({audience_of(slot) for slot in slots})
        runs = [(h, a, self.run(h, a)) for h in heights for a in audiences]
        size = self.headers[last].size
        return FeedPart(
            head=self.head(last).encode(),
            first_height=heights[0],
            headers=tuple(headers),
            header_path=tuple(
                range_path(self.header_tree.read, last + 1, [(heights[0], len(heights))])
            ),
            run_heads=tuple((h, a, run.head) for h, a, run in runs if run is not None),
            slots=tuple(slots),
            ranges=tuple(ranges),
            leaves=tuple(self.leaves[i] for f, count in ranges for i in range(f, f + count)),
            leaf_path=tuple(range_path(self.tree.read, size, ranges)),
        )


class ChainBuilder:
    """A chain of one validator, as far as a bundle shows it."""

    def __init__(self, name: str = "wharf-test", *, owner: str = "operator") -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed(f"validator {owner}"))
        public = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self._set = (Validator(public, 10),)
        own = Ed25519PrivateKey.from_private_bytes(seed(owner)).public_key()
        spki = own.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        party = GenesisParty(owner, EDDSA, spki, 1)
        self.genesis = Genesis(
            chain_id=name,
            app_version=1,
            time_ms=START_MS - 1_000_000,
            validators=((self._set[0], party.party_id),),
            parties=(party,),
            block_bytes_max=4 << 20,
            admission_votes_min=1,
        )
        self.states: dict[bytes, bytes] = {}
        self.leaves: list[LogLeaf] = []
        self.party(owner)

    @property
    def trust(self) -> bytes:
        return self.genesis.digest

    @staticmethod
    def party_id(name: str) -> bytes:
        return seed(f"party {name}")[:16]

    def set(self, key: Sequence[object], value: object) -> None:
        self.states[encode(list(key))] = encode(value)

    def party(self, name: str) -> None:
        self.set(["party", self.party_id(name)], [1, name, EDDSA, b"spki", 1, START_MS])

    def enrol(
        self, feed: FeedBuilder, *, owner: str = "operator", revoked_ms: int | None = None
    ) -> None:
        row = [
            1, self.party_id(owner), feed.alg, feed.key.spki, 0,
            leaf_hash(feed.leaves[0]), START_MS, revoked_ms,
        ]  # fmt: skip
        self.set(["gateway", feed.state.feed_id], row)

    def device(self, device_id: str, rows: Sequence[Sequence[object]]) -> None:
        self.set(["device", device_id], [1, [list(row) for row in rows]])

    def log(self, record: Sequence[object], time_ms: int, code: int = 0) -> int:
        """The index of a new log leaf."""
        index = len(self.leaves)
        self.leaves.append(
            LogLeaf(
                tx_id=seed(f"tx {index}"),
                item_index=0,
                code=code,
                time_ms=time_ms,
                chain_height=index + 1,
                record=tuple(record),
            )
        )
        return index

    def anchor(self, claim: HeadClaim, time_ms: int) -> int:
        record = [
            4, claim.feed_id, claim.epoch, claim.height, claim.size,
            claim.root, claim.block_root, claim.digest,
        ]  # fmt: skip
        return self.log(record, time_ms)

    def part(self, indexes: Collection[int], keys: Collection[bytes]) -> bytes:
        """An encoded chain part that shows these log leaves and states."""
        tree = MemoryTree([leaf_hash(leaf.encode()) for leaf in self.leaves])
        held = state_map_of(self.states.items())
        app = AppRoots(tree.size, tree.root(), held.root)
        header = ChainHeader(
            block_version=11,
            app_version=1,
            chain_id=self.genesis.chain_id,
            height=500,
            time_ns=(START_MS + 10_000_000) * 1_000_000,
            last_block_id=BlockId(b"h" * 32, 1, b"q" * 32),
            last_commit_hash=b"1" * 32,
            data_hash=b"2" * 32,
            validators_hash=validator_set_hash(self._set),
            next_validators_hash=validator_set_hash(self._set),
            consensus_hash=b"3" * 32,
            app_hash=app.app_hash,
            last_results_hash=b"4" * 32,
            evidence_hash=b"5" * 32,
            proposer_address=b"6" * 20,
        )
        vote = vote_sign_bytes(
            chain_id=header.chain_id,
            height=header.height,
            round_=0,
            block_id=BlockId(header.hash, 1, b"p" * 32),
            time_ns=header.time_ns,
        )
        votes = ((header.time_ns, self._key.sign(vote)),)
        part = ChainPart(
            genesis=self.genesis.encode(),
            changes=(),
            signed_header=SignedHeader(header, Commit(0, 1, b"p" * 32, votes)),
            app=app,
            leaves=tuple(
                ProvenLeaf(i, self.leaves[i].encode(), tuple(tree.inclusion_path(i)))
                for i in sorted(indexes)
            ),
            states=tuple(
                ProvenState(key, held.get(key), held.prove(key)) for key in sorted(set(keys))
            ),
        )
        return encode_chain_part(part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A feed on a chain: X and Y of audience 1, Z of audience 2, every block anchored."""

    feed: FeedBuilder
    chain: ChainBuilder
    anchors: tuple[int, ...]
    statements: tuple[int, ...]

    @property
    def trust(self) -> bytes:
        return self.chain.trust

    def keys(self) -> set[bytes]:
        """Names of the states that a bundle shows."""
        feed_id = self.feed.state.feed_id
        names: list[list[object]] = [
            ["device", "probe"], ["gateway", feed_id], ["frozen", feed_id],
            ["party", self.chain.party_id("operator")], ["party", self.chain.party_id("insurer")],
        ]  # fmt: skip
        return {encode(name) for name in names}

    def request(self, base: int | None, last: int) -> Request:
        """Asks for all between two anchors."""
        times = [self.chain.leaves[index].time_ms for index in self.anchors]
        from_ms = START_MS - 500_000 if base is None else times[base]
        return Request(device_id="probe", channel=None, from_ms=from_ms, to_ms=times[last])

    def shown(self, base: int | None, last: int) -> set[int]:
        """Log leaves that a bundle shows: its brackets and the statements about its blocks."""
        heights = range(0 if base is None else base + 1, last + 1)
        ends = {self.anchors[height] for height in (base, last) if height is not None}
        about = [i for i in self.statements if self.chain.leaves[i].record[3] in heights]
        return ends | set(about)

    def bundle(
        self, *, base: int | None = None, last: int | None = None, part: FeedPart | None = None
    ) -> Bundle:
        """The bundle for X between two blocks."""
        last = len(self.feed.blocks) - 1 if last is None else last
        return Bundle(
            request=self.request(base, last),
            feeds=(part or self.feed.part([X], base=base, last=last),),
            chain=self.chain.part(self.shown(base, last), self.keys()),
        )


def grown(feed: FeedBuilder, blocks: int = 7, *, y_value: int = 7000) -> FeedBuilder:
    """Blocks with X from height 1, Z from height 2 (but not in 4), Y from height 3."""
    feed.add(KIND_BOOT, CONTROL_SLOT, ["boot"])
    for height in range(blocks):
        if height == 1:
            feed.describe(X)
        if height == 2:
            feed.describe(Z, "other")
        if height == 3:
            feed.describe(Y, "neighbour")
        if height >= 1:
            feed.read(X, 3 + height)
        if height >= 2 and height != 4:
            feed.read(Z, 2)
        if height >= 3:
            feed.read(Y, 5, y_value)
        feed.cut()
    return feed


def scene_of(
    feed: FeedBuilder,
    *,
    chain: ChainBuilder | None = None,
    revoked_ms: int | None = None,
    slot: int = X,
) -> Scene:
    """The feed enrolled, its device recorded, every block anchored, mirrored and opened."""
    chain = chain or ChainBuilder()
    chain.party("insurer")
    chain.enrol(feed, revoked_ms=revoked_ms)
    first = next((p for p in range(len(feed.leaves)) if feed.entry(p).slot == slot), None)
    digest = bytes(32) if first is None else sha256(encode(feed.entry(first).body))
    chain.device("probe", [[feed.state.feed_id, slot, digest, START_MS, None]])
    anchors, statements = [], []
    for height, header in enumerate(feed.headers):
        time_ms = START_MS + 100_000 * (height + 1)
        anchors.append(chain.anchor(feed.claim(height), time_ms))
        insurer, place = chain.party_id("insurer"), [*feed.feed, height]
        statements.append(chain.log([5, *place, header.digest, insurer], time_ms))
        if any(run.audience == 1 for run in feed.blocks[height].runs):
            record = [6, *place, 1, header.digest, True, insurer]
            statements.append(chain.log(record, time_ms))
    return Scene(feed=feed, chain=chain, anchors=tuple(anchors), statements=tuple(statements))


def good_scene(**options: Any) -> Scene:
    """An honest feed of seven blocks on a chain."""
    return scene_of(grown(FeedBuilder(**options)))
