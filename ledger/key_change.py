"""One signing key follows another in a feed: the old key signs the new one, the new one signs back.

statement  = "wharf/rotate/1" || [ feed-id, old-kid, alg, spki, level ]      ; what both keys sign
entry body = [ 1, 1, old-kid, alg, spki, level, old-signature, new-signature ] ; kind 9, slot 0

The old key's signature says who follows; the new key's says that somebody holds it.
"""

from dataclasses import dataclass, replace
from typing import Any, Final

from ledger.canonical import encode
from ledger.errors import FormatError
from ledger.signing import PublicKey, Signer

TAG: Final = b"wharf/rotate/1"
BODY_VERSION: Final = 1
CHANGE_ROTATION: Final = 1
_BODY: Final = (int, int, bytes, int, bytes, int, bytes, bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyChange:
    """A rotation. `level`: what the new key is said to rest on (0 software, 1 hardware claimed)."""

    feed_id: bytes
    old_kid: bytes
    alg: int
    spki: bytes
    level: int
    old_signature: bytes = b""
    new_signature: bytes = b""

    @property
    def new_key(self) -> PublicKey:
        """The key that follows; raises FormatError."""
        return PublicKey(self.alg, self.spki)

    def statement(self) -> bytes:
        """The bytes that both keys sign. No COSE structure begins like them."""
        return TAG + encode([self.feed_id, self.old_kid, self.alg, self.spki, self.level])

    async def signed(self, old: Signer, new: Signer) -> "KeyChange":
        """The change with both signatures."""
        statement = self.statement()
        return replace(
            self,
            old_signature=await old.sign(statement),
            new_signature=await new.sign(statement),
        )

    def check(self, old: PublicKey) -> None:
        """Raises FormatError or SignatureError unless both keys signed this change of `old`."""
        if old.kid != self.old_kid or self.new_key.kid == self.old_kid:
            raise FormatError("key change", "not from the feed's key to another one")
        old.verify(self.statement(), self.old_signature)
        self.new_key.verify(self.statement(), self.new_signature)

    def to_body(self) -> list[Any]:
        """The body of the feed's own entry about it."""
        return [
            BODY_VERSION, CHANGE_ROTATION, self.old_kid, self.alg, self.spki, self.level,
            self.old_signature, self.new_signature,
        ]  # fmt: skip  # in the order of the format


def is_rotation(body: object) -> bool:
    """Whether an entry of kind 9 tells a rotation of this form; other changes are not judged."""
    return isinstance(body, list) and body[:2] == [BODY_VERSION, CHANGE_ROTATION]


def key_change_of(feed_id: bytes, body: object) -> KeyChange:
    """The change in an entry of kind 9; raises FormatError."""
    if not isinstance(body, list) or tuple(type(item) for item in body) != _BODY:
        raise FormatError("key change", "not the eight elements of a rotation")
    version, change, old_kid, alg, spki, level, old_signature, new_signature = body
    if (version, change) != (BODY_VERSION, CHANGE_ROTATION):
        raise FormatError("key change", "of a version or kind that is not known here")
    return KeyChange(
        feed_id=feed_id,
        old_kid=old_kid,
        alg=alg,
        spki=spki,
        level=level,
        old_signature=old_signature,
        new_signature=new_signature,
    )
