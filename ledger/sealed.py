"""Run keys, salts, encryption and grants (docs/formats/block.md, docs/formats/grant.md).

XChaCha20-Poly1305 does not commit to its key, so each run carries a key commitment of its own; a
reader who presents another key that happens to decrypt is found out by it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import zstandard
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand
from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
)
from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, SealedBox
from nacl.public import PublicKey as BoxKey

from ledger.block import (
    CODEC_COLUMNS,
    CODEC_ZSTD,
    PLAIN_BYTES_MAX,
    BlockHeader,
    RunBody,
)
from ledger.canonical import decode, encode
from ledger.columns import pack, unpack
from ledger.entry import FEED_ID_BYTES, SALT_BYTES, Entry
from ledger.errors import FormatError, LimitError, NotCanonicalError, OpeningError
from ledger.hashing import sha256, tagged

KEY_BYTES: Final = 32
PUBLIC_KEY: Final = bytes(KEY_BYTES)  # audience 0: readable by everyone, on the same code path
NONCE: Final = bytes(24)  # every run has a key of its own
WINDOW_BYTES_MAX: Final = 8 << 20
ZSTD_LEVEL: Final = 3
# Entries are many short fields that nearly repeat: an optimal parser, however shallow its search,
# makes a quarter less of them than any level below 19, for under two microseconds an entry.
_ZSTD_PARSER: Final = {
    "strategy": zstandard.STRATEGY_BTOPT,
    "min_match": 4,
    "search_log": 1,
    "target_length": 64,
    "chain_log": 16,
    "hash_log": 16,
}
GRANT_VERSION: Final = 1
GRANT_BYTES_MAX: Final = 256
REASON_AEAD: Final = 1
REASON_SIZES: Final = 2
REASON_CODEC: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlace:
    """Where a run stands: what its keys and its encryption are bound to."""

    feed_id: bytes
    epoch: int
    height: int
    audience: int
    key_epoch: int

    def info(self) -> bytes:
        """Key derivation info and additional data of the run."""
        return b"".join(
            (
                b"wharf/run/1",
                self.feed_id,
                self.epoch.to_bytes(4, "big"),
                self.height.to_bytes(8, "big"),
                self.audience.to_bytes(2, "big"),
                self.key_epoch.to_bytes(4, "big"),
            )
        )


def place_of(header: BlockHeader, *, audience: int, key_epoch: int) -> RunPlace:
    """The place of an audience's run in a block."""
    return RunPlace(
        feed_id=header.feed_id,
        epoch=header.epoch,
        height=header.height,
        audience=audience,
        key_epoch=key_epoch,
    )


@dataclass(frozen=True, slots=True)
class RunKey:
    """Opens one run and nothing else."""

    secret: bytes
    place: RunPlace

    @property
    def commitment(self) -> bytes:
        """What the run body says of this key."""
        return tagged("wharf/kc/1", self.secret)

    def salts(self, count: int) -> bytes:
        """The salts of all leaves in order, 16 bytes each, as one string."""
        cipher = Cipher(algorithms.ChaCha20(_expand(self.secret, b"wharf/salt/1"), bytes(16)), None)
        return cipher.encryptor().update(bytes(SALT_BYTES * count))

    def encrypt(self, content: bytes) -> bytes:
        """The codec's content compressed and encrypted, bound to the run's place."""
        frame = compress(content)
        key = _expand(self.secret, b"wharf/enc/1")
        return crypto_aead_xchacha20poly1305_ietf_encrypt(frame, self.place.info(), NONCE, key)

    def decrypt(self, ciphertext: bytes, body: RunBody) -> bytes:
        """The entries' bytes; raises OpeningError, with a reason where the run is provably bad.

        A wrong key or other ciphertext than the body names proves nothing: no reason then.
        """
        if self.commitment != body.key_commit:
            raise OpeningError("the key is not the run's key")
        if sha256(ciphertext) != body.ct_digest:
            raise OpeningError("the ciphertext is not the run's")
        if len(ciphertext) != body.ct_bytes:
            raise OpeningError("the ciphertext's size is misstated", REASON_SIZES)
        key = _expand(self.secret, b"wharf/enc/1")
        try:
            frame = crypto_aead_xchacha20poly1305_ietf_decrypt(
                ciphertext, self.place.info(), NONCE, key
            )
        except CryptoError:
            raise OpeningError("the ciphertext does not authenticate", REASON_AEAD) from None
        return expand(frame, body)


def _expand(secret: bytes, info: bytes) -> bytes:
    return HKDFExpand(algorithm=SHA256(), length=KEY_BYTES, info=info).derive(secret)


def run_key(audience_key: bytes, run_salt: bytes, place: RunPlace) -> RunKey:
    """The key of one run; the salt is fresh at every sealing, so a restored backup reuses none."""
    hkdf = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=run_salt, info=place.info())
    return RunKey(hkdf.derive(audience_key), place)


def compress(plain: bytes) -> bytes:
    """One zstd frame that states its content's size."""
    parameters = zstandard.ZstdCompressionParameters.from_level(
        ZSTD_LEVEL, source_size=len(plain), **_ZSTD_PARSER
    )
    return zstandard.ZstdCompressor(compression_params=parameters).compress(plain)


def content_of(entries: Sequence[Entry], plain: bytes) -> tuple[int, bytes]:
    """(codec, what it compresses) of a run's entries; `plain` are their bytes.

    By columns where that is shorter, and where it gives back these very bytes: what does not open
    must never stand in the place of journaled entries.
    """
    packed = pack(entries)
    if packed is None or len(packed) >= len(plain) or _unpacked(packed, len(plain)) != plain:
        return CODEC_ZSTD, plain
    return CODEC_COLUMNS, packed


def _unpacked(packed: bytes, plain_bytes: int) -> bytes | None:
    """The entries' bytes, None where these are no columns."""
    try:
        return unpack(packed, plain_bytes)
    except (FormatError, LimitError, NotCanonicalError):
        return None


def expand(frame: bytes, body: RunBody) -> bytes:
    """The entries' bytes from the decrypted frame; raises OpeningError."""
    if body.codec == CODEC_ZSTD:
        return decompress(frame, body.plain_bytes)
    try:
        plain = unpack(decompress(frame), body.plain_bytes)
    except LimitError as error:
        raise OpeningError("content size differs from the stated one", REASON_SIZES) from error
    except (FormatError, NotCanonicalError) as error:
        raise OpeningError(f"not columns: {error}", REASON_CODEC) from error
    if len(plain) != body.plain_bytes:
        raise OpeningError("content size differs from the stated one", REASON_SIZES)
    return plain


def decompress(frame: bytes, plain_bytes: int | None = None) -> bytes:
    """Exactly one zstd frame, of this size where one is given; the frame header is judged before
    any work.
    """
    try:
        parameters = zstandard.get_frame_parameters(frame)
        stated = parameters.content_size if plain_bytes is None else plain_bytes
        if parameters.content_size != stated or stated > PLAIN_BYTES_MAX:
            raise OpeningError("content size differs from the stated one", REASON_SIZES)
        if parameters.window_size > WINDOW_BYTES_MAX:
            raise OpeningError("compression window too large", REASON_CODEC)
        if parameters.dict_id:
            raise OpeningError("compressed with a dictionary", REASON_CODEC)
        # One call with the size known: it never writes more than the frame header promised.
        decompressor = zstandard.ZstdDecompressor(max_window_size=WINDOW_BYTES_MAX)
        plain = decompressor.decompress(frame, allow_extra_data=False)
    except zstandard.ZstdError:
        raise OpeningError("not exactly one zstd frame", REASON_CODEC) from None
    if len(plain) != stated:
        raise OpeningError("content size differs from the stated one", REASON_SIZES)
    return plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """An audience key as a reader finds it in a sealed box."""

    feed_id: bytes
    audience: int
    key_epoch: int
    key: bytes


def seal_grant(grant: Grant, reader: bytes) -> bytes:
    """The grant sealed to a reader's X25519 key; nothing in it names the reader."""
    value = [GRANT_VERSION, grant.feed_id, grant.audience, grant.key_epoch, grant.key]
    return SealedBox(BoxKey(reader)).encrypt(encode(value))


def open_grant(sealed: bytes, reader_secret: bytes) -> Grant | None:
    """The grant, or None where it is sealed to another. Raises FormatError if it is no grant."""
    if len(sealed) > GRANT_BYTES_MAX:
        raise FormatError("grant", f"{len(sealed)} bytes")
    try:
        value = decode(SealedBox(PrivateKey(reader_secret)).decrypt(sealed))
    except CryptoError:
        return None
    except NotCanonicalError as error:
        raise FormatError("grant", str(error)) from error
    if not isinstance(value, list) or [type(v) for v in value] != [int, bytes, int, int, bytes]:
        raise FormatError("grant", "not five elements of the right types")
    version, feed_id, audience, key_epoch, key = value
    if version != GRANT_VERSION or len(feed_id) != FEED_ID_BYTES or len(key) != KEY_BYTES:
        raise FormatError("grant", "version or lengths")
    return Grant(feed_id=feed_id, audience=audience, key_epoch=key_epoch, key=key)


def reader_public(reader_secret: bytes) -> bytes:
    """The X25519 key to which grants for this reader are sealed."""
    return bytes(PrivateKey(reader_secret).public_key)


def salted_leaves(entries: Sequence[bytes], salts: bytes) -> list[bytes]:
    """Leaves of a run: each entry behind its salt."""
    width = SALT_BYTES
    return [salts[i * width : i * width + width] + entry for i, entry in enumerate(entries)]
