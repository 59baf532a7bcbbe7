"""What EPCIS documents and queries of others are refused for."""

from logistics.errors import LogisticsError


class EventError(LogisticsError):
    """A document or event is not what EPCIS 2.0 allows; `field` is a JSON pointer to the part."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field or '/'}: {reason}")
        self.field, self.reason = field, reason


class TooLargeError(EventError):
    """A document is larger, or nested deeper, than is read."""


class QueryError(LogisticsError):
    """A query's parameter is unknown, or its value is not of its kind."""

    def __init__(self, parameter: str, reason: str) -> None:
        super().__init__(f"{parameter}: {reason}")
        self.parameter, self.reason = parameter, reason
