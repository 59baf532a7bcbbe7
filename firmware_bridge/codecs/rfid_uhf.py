"""UHF readers of the R200 / M100 family (QM100, JRD-4035, YRM100, M5 UHF unit) on a serial line.

Frame: head, type (00 command, 01 response, 02 notice), command, u16 length, payload, sum, tail.
Head and tail are BB..7E or AA..DD. Sum: low byte of type..payload. Both bytes occur inside
payloads, so the length leads; a frame that fails its tail or sum costs one byte, and the search
goes on behind that.

Tag notice (command 22): RSSI i8 dBm, PC u16, EPC (PC >> 11 words), EPC CRC u16: CRC-16/GENIBUS over
PC and EPC, the one check that comes from the tag itself.
`BB 02 22 0011 C9 3400 30751FEB705C5904E3D50D70 3A76 EF 7E` is a tag at -55 dBm.
"""

from binascii import crc_hqx
from typing import Final

from firmware_bridge.codecs.resync import NoiseRun
from firmware_bridge.devices import Observation, Reason, Rejected, rejected
from logistics.reading import TagSighting

PAYLOAD_BYTES_MAX: Final = 160
CHANNEL: Final = "tags"
HEADS: Final = {0xBB: 0x7E, 0xAA: 0xDD}
ROUNDS_MAX: Final = 0xFFFF
_COMMAND, _RESPONSE, _NOTICE = 0, 1, 2
_SINGLE_POLL, _MULTI_POLL, _STOP, _ERROR = 0x22, 0x27, 0x28, 0xFF
_NO_TAG = 0x15  # the round ended without a tag: normal, not a fault
_EXTRA_BYTES = 7


def encode_frame(head: int, kind: int, command: int, *, payload: bytes = b"") -> bytes:
    """The bytes of a frame; head is 0xBB or 0xAA."""
    body = bytes((kind, command)) + len(payload).to_bytes(2, "big") + payload
    return bytes((head,)) + body + bytes((sum(body) & 255, HEADS[head]))


def multi_poll(head: int, rounds: int) -> bytes:
    """The command for up to 65,535 rounds of inventory. It ends by itself: send it again in
    time.
    """
    return encode_frame(head, _COMMAND, _MULTI_POLL, payload=b"\x22" + rounds.to_bytes(2, "big"))


def stop_poll(head: int) -> bytes:
    """The command that ends a multi-poll."""
    return encode_frame(head, _COMMAND, _STOP)


def epc_crc(pc_and_epc: bytes) -> int:
    """CRC-16/GENIBUS, as the tag computes it (Gen2, 6.3.1.5)."""
    return crc_hqx(pc_and_epc, 0xFFFF) ^ 0xFFFF


class R200Decoder:
    """Bytes in any split; the split never alters what comes out. Holds at most one frame."""

    def __init__(self) -> None:
        self._pending = bytearray()
        self._noise = NoiseRun()

    def feed(self, data: bytes) -> list[Observation | Rejected]:
        """What these bytes complete."""
        self._pending += data
        done: list[Observation | Rejected] = []
        while (events := self._step()) is not None:
            done += events
        return done

    def _step(self) -> list[Observation | Rejected] | None:
        """The events of one frame or one skipped byte; None to wait for more."""
        pending = self._pending
        if not pending:
            return None
        if pending[0] not in HEADS or (len(pending) > 1 and pending[1] > _NOTICE):
            return self._skip(Reason.NOISE)
        if len(pending) < 5:
            return None
        length = int.from_bytes(pending[3:5], "big")
        if length > PAYLOAD_BYTES_MAX:
            return self._skip(Reason.NOISE)
        if len(pending) < length + _EXTRA_BYTES:
            return None
        frame = bytes(pending[: length + _EXTRA_BYTES])
        if frame[-1] != HEADS[frame[0]]:
            return self._skip(Reason.NOISE)
        if sum(frame[1:-2]) & 255 != frame[-2]:
            return self._skip(Reason.CHECKSUM)
        del pending[: len(frame)]
        return [*self._noise.flush(), *_meaning(frame)]

    def _skip(self, reason: Reason) -> list[Observation | Rejected]:
        return [*self._noise.add(self._pending.pop(0), reason)]


def _meaning(frame: bytes) -> list[Observation | Rejected]:
    """What an intact frame says; answers to commands say nothing that is a reading."""
    kind, command, payload = frame[1], frame[2], frame[5:-2]
    if kind == _RESPONSE and command == _ERROR:
        return [] if payload[:1] == bytes((_NO_TAG,)) else [rejected(frame, Reason.FAULT)]
    if kind != _NOTICE or command != _SINGLE_POLL:
        return []
    epc_bytes = payload[1] >> 3 << 1 if len(payload) > 1 else 0
    if len(payload) != 5 + epc_bytes:
        return [rejected(frame, Reason.FIELD)]
    if epc_crc(payload[1:-2]) != int.from_bytes(payload[-2:], "big"):
        return [rejected(frame, Reason.EPC_CRC)]
    sighting = TagSighting(
        epc=payload[3:-2],
        pc=int.from_bytes(payload[1:3], "big"),
        rssi_cdbm=100 * int.from_bytes(payload[:1], "big", signed=True),
    )
    return [Observation(channel=CHANNEL, quantity="tag", unit=None, record=sighting)]


def holds_frame(data: bytes) -> bool:
    """Whether the bytes hold an answer or a notice whose length, sum and tail are right."""
    for at, octet in enumerate(data):
        size = int.from_bytes(data[at + 3 : at + 5], "big") + _EXTRA_BYTES
        frame = data[at : at + size]
        is_whole = octet in HEADS and len(frame) == size and frame[1] in (_RESPONSE, _NOTICE)
        if is_whole and frame[-1] == HEADS[octet] and sum(frame[1:-2]) & 255 == frame[-2]:
            return True
    return False


def tag_notice(head: int, sighting: TagSighting) -> bytes:
    """The notice that a reader sends for this tag; the inverse of decoding, for simulators."""
    rssi = (sighting.rssi_cdbm or 0) // 100
    pc = len(sighting.epc) // 2 << 11 if sighting.pc is None else sighting.pc
    body = pc.to_bytes(2, "big") + sighting.epc
    payload = rssi.to_bytes(1, "big", signed=True) + body + epc_crc(body).to_bytes(2, "big")
    return encode_frame(head, _NOTICE, _SINGLE_POLL, payload=payload)


def no_tag(head: int) -> bytes:
    """What a reader answers when a round ended without a tag."""
    return encode_frame(head, _RESPONSE, _ERROR, payload=bytes((_NO_TAG,)))
