"""What `logistics.rules` raises: a contract, evidence or figure that cannot be as it is given."""

from logistics.errors import LogisticsError


class RuleError(LogisticsError):
    """Root of everything that `logistics.rules` raises."""


class ContractError(RuleError):
    """A contract's field is wrong; the text names the field and how to mend it."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field, self.reason = field, reason


class RingError(RuleError):
    """Corners are no ring, or a route is none."""


class EvidenceError(RuleError):
    """Evidence does not prove what it says; nothing of it counts."""
