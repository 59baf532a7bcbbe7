"""What the consortium raises, split by whose fault it is."""

from typing import Final


class ConsortiumError(Exception):
    """Root of everything that `consortium` raises."""


class MalformedError(ConsortiumError):
    """Bytes from outside are not of the named format."""


class EnrolmentCodeError(MalformedError):
    """An enrolment code is mistyped, cut or of another version."""


# Codes that say something of a device's row and not of its sender (`consortium.app.refusal`).
DEVICE_ROW_REFUSED: Final = frozenset({13, 40, 41, 42})


class RefusedError(ConsortiumError):
    """The chain refused; `code` is stable and listed in docs/formats/chain.md."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"refused ({code}): {text}")
        self.code, self.text = code, text


class ChainUnavailableError(ConsortiumError):
    """The chain machine cannot be reached, or does not answer in time; try again later."""


class NotYetProvenError(ConsortiumError):
    """What was asked for is not on the chain, or not yet under a signed header; ask again later."""


class LocalError(ConsortiumError):
    """Our own disk, configuration or key."""


class ConfigError(LocalError):
    """The configuration file is wrong; the text names file, line and mend."""


class ChainStoreError(LocalError):
    """The chain store or block store cannot go on."""


class DoubleSignError(LocalError):
    """Signing would say two things about one height: the validator's state was copied or rolled
    back.
    """
