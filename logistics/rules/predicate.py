"""A clause's condition: CEL over integer facts, checked once, evaluated alike everywhere.

The text is judged by `cel_subset` first. What is stored is the text and the hash of the checked
syntax tree, so a machine whose library understands the text otherwise refuses instead of judging
apart.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from cel_expr_python import cel

from logistics.rules.cel_subset import check_subset
from logistics.rules.checked_tree import tree_sha256
from logistics.rules.errors import ContractError

NAMES_MAX: Final = 32
INT64_MAX: Final = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Predicate:
    """A checked condition and the hash of its checked syntax tree."""

    text: str
    names: frozenset[str]
    tree_sha256: bytes
    _expression: cel.Expression

    def holds(self, facts: Mapping[str, int]) -> bool:
        """Whether it is true of these facts; raises ContractError where it cannot be evaluated."""
        value = self._expression.eval(data={name: facts[name] for name in sorted(self.names)})
        result = value.value()
        if type(result) is not bool:
            raise ContractError("expression", f"{self.text!r} has no answer: {result}")
        return result


@lru_cache(maxsize=512)
def predicate(text: str, names: frozenset[str]) -> Predicate:
    """The condition in a text over integer facts of these names.

    Raises ContractError that names what is not allowed, not known, or not a condition.
    """
    shape = check_subset(text)
    unknown = sorted(shape.names - names)
    if unknown:
        raise ContractError("expression", f"{unknown[0]} is no fact of this contract")
    if len(names) > NAMES_MAX:
        raise ContractError("expression", f"more than {NAMES_MAX} facts")
    environment = cel.NewEnv(variables=dict.fromkeys(sorted(names), cel.Type.INT))
    try:
        expression = environment.compile(text)
    except RuntimeError as error:
        first = str(error).partition("\n")[0]
        raise ContractError("expression", f"{text!r}: {first}") from error
    if expression.return_type() != cel.Type.BOOL:
        raise ContractError("expression", f"{text!r} is no condition")
    return Predicate(text, shape.names, tree_sha256(expression.serialize()), expression)
