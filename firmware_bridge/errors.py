"""What `firmware_bridge` raises, split by whose fault it is. Noise on a wire is a value, not an
error.
"""


class FirmwareBridgeError(Exception):
    """Root of everything that `firmware_bridge` raises."""


class SpecError(FirmwareBridgeError):
    """A device or key description is wrong; a human has to mend it. Names the field."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field, self.reason = field, reason


class TransportError(FirmwareBridgeError):
    """A port, folder or broker is gone or cannot be opened; trying again later may help."""


class KeyHolderError(FirmwareBridgeError):
    """Root of what key holders raise."""


class SignerUnavailableError(KeyHolderError):
    """The token or its process is away or slow; try again with back-off."""


class PinRejectedError(KeyHolderError):
    """The token refused the PIN. Never retried: three wrong tries lock many tokens."""


class PinLockedError(PinRejectedError):
    """The token has locked its PIN; its owner has to unlock it."""


class KeyMissingError(KeyHolderError):
    """The token is there, the named key is not."""


class MechanismError(KeyHolderError):
    """The token is there and does not sign with this kind of key; asking again does not help."""


class KeyExistsError(KeyHolderError):
    """A key with this label is on the token already; it is never overwritten."""


class DevelopmentKeyError(KeyHolderError):
    """A key file was named although the configuration does not say development."""


class SignerFaultError(KeyHolderError):
    """The key holder answered with something that is no signature by its key. Never passed on."""
