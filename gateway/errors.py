"""What the gateway raises, split by whose fault it is."""


class GatewayError(Exception):
    """Root of everything that `gateway` raises."""


class ConfigError(GatewayError):
    """The configuration file is wrong; says field, line and mend."""

    def __init__(self, path: object, line: int | None, field: str, mend: str) -> None:
        where = f"{path}:{line}" if line else str(path)
        super().__init__(f"{where}: {field}: {mend}")
        self.line, self.field, self.mend = line, field, mend


class NotInitialisedError(GatewayError):
    """The data directory holds no gateway; `wharf gateway init` makes one."""


class SiteStateError(GatewayError):
    """A site configuration, or its proof or saved state, is not what it has to be."""


class IdentityError(GatewayError):
    """Key, store and configuration do not belong together (a clone, or an exchanged token)."""


class RotationRefusedError(GatewayError):
    """The chain does not let the new key follow; `code` is in docs/formats/chain.md."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"the chain refused the new key ({code}): {text}")
        self.code = code


class RunningError(GatewayError):
    """The command needs the gateway stopped."""


class RollbackError(IdentityError):
    """This store is older than what was signed after it; signing would say two things."""
