"""Amounts in a currency's minor units: a formula without a float, a named rounding, a cap."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from logistics.rules.errors import ContractError

MINOR_MAX: Final = 10**15


class Rounding(StrEnum):
    """How an amount becomes whole: the first four round the amount, the others count units."""

    UP = "up"
    DOWN = "down"
    HALF_UP = "half-up"
    HALF_EVEN = "half-even"
    BEGUN = "begun"  # each unit begun costs the whole rate
    COMPLETED = "completed"  # each unit completed costs the rate, a part of one nothing


def divided(numerator: int, denominator: int, rounding: Rounding) -> int:
    """numerator / denominator as a whole number; numerator >= 0, denominator > 0."""
    whole, rest = divmod(numerator, denominator)
    if rounding in (Rounding.UP, Rounding.BEGUN):
        return whole + bool(rest)
    if rounding in (Rounding.DOWN, Rounding.COMPLETED):
        return whole
    is_half = 2 * rest == denominator
    if is_half and rounding == Rounding.HALF_EVEN:
        return whole + whole % 2
    return whole + (2 * rest >= denominator)


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """`fixed` plus `rate` for each `unit` of a fact beyond what is free. Minor units.

    What is beyond is divided by the unit and rounded once: the amount, or the number of units.
    """

    fact: str
    fixed: int = 0
    rate: int = 0
    free: int = 0
    unit: int = 1
    rounding: Rounding = Rounding.HALF_EVEN

    def __post_init__(self) -> None:
        """Raises ContractError naming the field that cannot be."""
        if not 0 <= self.fixed <= MINOR_MAX or not 0 <= self.rate <= MINOR_MAX:
            raise ContractError("charge", f"fixed and rate are 0 to {MINOR_MAX} minor units")
        if not 0 <= self.free <= MINOR_MAX or not 0 < self.unit <= MINOR_MAX:
            raise ContractError("charge", "free is 0 or more, unit above 0")

    def of(self, quantity: int) -> int:
        """The amount for a fact's value."""
        beyond = max(0, quantity - self.free)
        if self.rounding in (Rounding.BEGUN, Rounding.COMPLETED):
            return self.fixed + self.rate * divided(beyond, self.unit, self.rounding)
        return self.fixed + divided(self.rate * beyond, self.unit, self.rounding)


def capped(amounts: list[int], cap: int) -> int:
    """The sum, at most the cap."""
    return min(sum(amounts), cap)
