"""Mean kinetic temperature: the one temperature that would have harmed as much (USP <1079.2>).

    T = (dH / R) / -ln( sum(w * exp(-dH / (R * T_i))) / sum(w) )        temperatures in kelvin

Decimal arithmetic under a fixed context, whose exp and ln are correctly rounded: every machine
gets the same thousandths.
"""

from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final

# 83.144 kJ/mol over 8.3144 J/(mol K), as is usual for medicines.
ACTIVATION_K: Final = Decimal(10_000)
ZERO_CELSIUS_MILLI: Final = 273_150
_CONTEXT: Final = Context(prec=34, rounding=ROUND_HALF_EVEN)


def mean_kinetic_milli(weights: Mapping[int, int]) -> int | None:
    """Thousandths of a degree Celsius, rounded half to even; None without any weight.

    weights: for each value (thousandths of a degree, above -273,150) how many readings, or how many
    milliseconds, had it. Raises ValueError at or below absolute zero.
    """
    total = sum(weights.values())
    if not total:
        return None
    if min(weights) <= -ZERO_CELSIUS_MILLI:
        raise ValueError("a temperature at or below absolute zero")
    harm = Decimal(0)
    for milli, weight in sorted(weights.items()):
        kelvin = _CONTEXT.divide(Decimal(milli + ZERO_CELSIUS_MILLI), Decimal(1000))
        factor = _CONTEXT.exp(_CONTEXT.divide(-ACTIVATION_K, kelvin))
        harm = _CONTEXT.add(harm, _CONTEXT.multiply(Decimal(weight), factor))
    mean = _CONTEXT.divide(harm, Decimal(total))
    kelvin = _CONTEXT.divide(ACTIVATION_K, -_CONTEXT.ln(mean))
    return int((kelvin * 1000).quantize(Decimal(1), ROUND_HALF_EVEN)) - ZERO_CELSIUS_MILLI
