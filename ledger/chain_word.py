"""A feed part against the chain's word on its gateway: genesis, brackets, keys, devices."""

from ledger.canonical import encode
from ledger.chain_proof import LogLeaf
from ledger.errors import ProofError, UncheckableError
from ledger.feed_proof import FeedProof, SlotProof
from ledger.hashing import leaf_hash, sha256
from ledger.proof_bundle import Request
from ledger.proven_records import DeviceRow, GatewayRecord, KeyPeriod


def check_enrolled_genesis(proof: FeedProof, gateway: GatewayRecord) -> None:
    """The feed begins with the genesis leaf that was enrolled."""
    if leaf_hash(proof.genesis_leaf) != gateway.genesis_hash:
        raise ProofError("the feed's genesis is not the enrolled one")


def check_interval(request: Request, lower: LogLeaf | None, upper: LogLeaf) -> None:
    """The asked interval lies between the two anchors, in the chain's own time."""
    if upper.time_ms < request.to_ms:
        raise UncheckableError("the last block was anchored before the interval ends")
    if lower is not None and lower.time_ms > request.from_ms:
        raise UncheckableError("the block before the span was anchored after it begins")


def check_not_revoked(gateway: GatewayRecord, upper: LogLeaf) -> None:
    """The head was anchored before its key was revoked; the dates are the chain's."""
    if gateway.ended_ms is None or gateway.ended_ms > upper.time_ms:
        return
    # What retires a gateway may stand in one chain block with its last anchor.
    if not gateway.retired or gateway.ended_ms < upper.time_ms:
        raise ProofError("the head was anchored after its key was revoked or its gateway retired")


def check_key_in_force(signed_by: KeyPeriod, upper: LogLeaf) -> None:
    """The head was anchored while its key was the feed's; at the moment of a change both are."""
    if upper.time_ms < signed_by.from_ms:
        raise ProofError("the head was anchored before its key was the feed's")
    if signed_by.to_ms is not None and signed_by.to_ms < upper.time_ms:
        raise ProofError("the head was anchored after another key had followed its own")


def check_device_named(shown: SlotProof, device_id: str) -> None:
    """The slot's descriptor is of the device that was asked for."""
    body = shown.descriptor.body
    if not isinstance(body, list) or len(body) < 3 or body[1] != device_id:
        raise ProofError(f"slot {shown.slot} describes another device")


def check_recorded_descriptor(shown: SlotProof, row: DeviceRow) -> None:
    """Where the slot begins inside the span, it begins with the descriptor that was recorded."""
    first = next((entry for _, _, entry in shown.entries), None)
    if first is None or first.srcseq:
        return
    if sha256(encode(first.body)) != row.descriptor_hash:
        raise ProofError(f"slot {row.slot}: the descriptor is not the recorded one")
