"""What `logistics` raises, split by whose fault it is."""


class LogisticsError(Exception):
    """Root of everything that `logistics` raises."""


class BodyError(LogisticsError):
    """Bytes or values from outside are not the body of the named record."""

    def __init__(self, record: str, field: str, reason: str) -> None:
        super().__init__(f"{record}.{field}: {reason}")
        self.record, self.field, self.reason = record, field, reason


class NumberError(LogisticsError):
    """A text is not a decimal number within the limits, or has no exact form at a scale."""


class IdentifierError(LogisticsError):
    """Digits are not an identifier of the named kind."""
