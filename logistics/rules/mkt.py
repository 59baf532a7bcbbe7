"""Mean kinetic temperature: the constant temperature that would have done as much harm.

    T_K = (H / R) / -ln( sum(w_i * exp(-H / (R * T_i))) / sum(w_i) )

T in kelvin, w the time that a value held. Source: USP <1160> and <1079.2>; Haynes (1971).
H is 83.144 kJ/mol and R 8.3144 J/(mol K) unless said otherwise, so H / R is 10,000 K.
`decimal`'s exp and ln are correctly rounded, so one context gives the same digits everywhere.
"""

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final

from logistics.rules.errors import EvidenceError
from logistics.rules.stretches import Stretch

ACTIVATION_J_MOL: Final = 83_144
GAS_J_MOL_K: Final = Decimal("8.3144")
ZERO_CELSIUS_MILLIKELVIN: Final = 273_150
_CONTEXT: Final = Context(prec=34, rounding=ROUND_HALF_EVEN)


def mean_kinetic_kelvin(
    stretches: Sequence[Stretch], activation_j_mol: int = ACTIVATION_J_MOL
) -> Decimal:
    """The mean kinetic temperature in kelvin, 34 digits; values are milli-degrees Celsius.

    Raises EvidenceError where there is no time, or a value at or below absolute zero.
    """
    weights: dict[int, int] = {}
    for stretch in stretches:
        if stretch.low != stretch.high:
            raise EvidenceError("a mean kinetic temperature needs every reading")
        weights[stretch.low] = weights.get(stretch.low, 0) + stretch.length_ms
    total = sum(weights.values())
    if not total or min(weights) <= -ZERO_CELSIUS_MILLIKELVIN:
        raise EvidenceError("no time with a possible temperature")
    context = _CONTEXT
    ratio = context.divide(Decimal(activation_j_mol), GAS_J_MOL_K)
    harm = Decimal(0)
    for celsius_milli, weight_ms in sorted(weights.items()):
        kelvin = context.divide(Decimal(celsius_milli + ZERO_CELSIUS_MILLIKELVIN), Decimal(1000))
        rate = context.exp(context.minus(context.divide(ratio, kelvin)))
        harm = context.add(harm, context.multiply(rate, Decimal(weight_ms)))
    mean = context.ln(context.divide(harm, Decimal(total)))
    return context.divide(ratio, context.minus(mean))


def mean_kinetic_celsius_milli(
    stretches: Sequence[Stretch], activation_j_mol: int = ACTIVATION_J_MOL
) -> int:
    """The same in milli-degrees Celsius, rounded half to even."""
    kelvin = mean_kinetic_kelvin(stretches, activation_j_mol)
    rounded = _CONTEXT.quantize(kelvin, Decimal("0.001"))
    return int(_CONTEXT.multiply(rounded, Decimal(1000))) - ZERO_CELSIUS_MILLIKELVIN
