"""What an organisation decides from its desk: votes, delegations, keys, who is who.

Each function makes the body of one kind of transaction, or reads rows of the state, through the
operator endpoint of its own chain machine.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from consortium.app import actions
from consortium.app.proposals import OPEN, PASSED, REJECTED, Proposal, read_proposal
from consortium.app.rights import KINDS_OF_TITLE, TITLE_DRIVER, TITLE_OFFICER
from consortium.errors import MalformedError
from consortium.key_codes import KeyCode, decode_key_code
from consortium.transaction import (
    KIND_DELEGATE,
    KIND_END_KEY,
    KIND_IDENTITY,
    KIND_PARTY_KEY,
    KIND_PROPOSE,
    KIND_VOTE,
)
from ledger.chain_genesis import ROLES
from ledger.signing import kid_of

ROLE_NAMES: Final = {
    1: "operator", 2: "carrier", 3: "owner", 4: "reader",
    5: "regulator", 6: "bank", 7: "court", 8: "auditor",
}  # fmt: skip  # working roles above, reading roles below
TITLES: Final = {"officer": TITLE_OFFICER, "driver": TITLE_DRIVER}
STATUS_NAMES: Final = {OPEN: "open", PASSED: "passed", REJECTED: "rejected"}
ACTION_NAMES: Final = {
    actions.ADMIT: "admit",
    actions.SUSPEND: "suspend",
    actions.RESTORE: "restore",
    actions.NEXT_KEY: "next-key",
    actions.VALIDATOR_IN: "validator-in",
    actions.VALIDATOR_ROTATE: "validator-rotate",
    actions.VALIDATOR_SUSPEND: "validator-suspend",
    actions.VALIDATOR_RESTORE: "validator-restore",
    actions.VALIDATOR_REMOVE: "validator-remove",
    actions.VALIDATOR_POWER: "validator-power",
}
HEIGHTS_TO_VOTE: Final = 50_000


class Desk(Protocol):
    """The operator endpoint of one's own chain machine."""

    def send(self, kind: int, body: Sequence[object]) -> str:
        """The transaction's id in hex, accepted; raises RefusedError otherwise."""

    def rows(self, name: str) -> list[tuple[list[Any], list[Any]]]:
        """(key, value without version) of every state entry with this name."""

    def height(self) -> int:
        """The chain's height."""


def party_named(desk: Desk, text: str) -> bytes:
    """The id of a party by its name, or by its id of 32 hex digits; raises MalformedError."""
    found = [key[1] for key, row in desk.rows("party") if text in (row[0], key[1].hex())]
    if len(found) != 1:
        raise MalformedError(f"{text!r}: {len(found)} parties have this name or id")
    party_id: bytes = found[0]
    return party_id


def role_named(text: str) -> int:
    """The number of a role; raises MalformedError."""
    for number, name in ROLE_NAMES.items():
        if text == name and number in ROLES:
            return number
    raise MalformedError(f"{text!r} is no role: one of {', '.join(ROLE_NAMES.values())}")


def hex_bytes(text: str, what: str, size: int) -> bytes:
    """The bytes of a hexadecimal argument; raises MalformedError that names it."""
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != size:
        raise MalformedError(f"{what}: {text!r} is not {2 * size} hex digits")
    return found


def action_of(desk: Desk, name: str, words: Sequence[str]) -> list[object]:
    """The action that a proposal's words ask for; raises MalformedError."""
    numbers = {text: number for number, text in ACTION_NAMES.items()}
    if name not in numbers:
        raise MalformedError(f"{name!r} is no action: one of {', '.join(numbers)}")
    number, count = numbers[name], len(words)
    if count != len(ARGUMENTS[number].split()):
        raise MalformedError(f"{name} takes {ARGUMENTS[number]}")
    if number == actions.ADMIT:
        party, role, code_text, scheme, legal = words
        code = decode_key_code(code_text)
        return [number, party, code.alg, code.key, role_named(role), scheme, legal]
    if number in (actions.SUSPEND, actions.RESTORE):
        return [number, party_named(desk, words[0])]
    if number == actions.NEXT_KEY:
        code = decode_key_code(words[1])
        return [number, party_named(desk, words[0]), code.alg, code.key, code.proof]
    if number == actions.VALIDATOR_IN:
        code = decode_key_code(words[0])
        return [number, code.key, _power(words[1]), code.party_id, code.proof]
    key = hex_bytes(words[0], "validator key", 32)
    if number == actions.VALIDATOR_ROTATE:
        code = decode_key_code(words[1])
        return [number, key, code.key, code.proof]
    return [number, key, _power(words[1])] if number == actions.VALIDATOR_POWER else [number, key]


ARGUMENTS: Final = {
    actions.ADMIT: "NAME ROLE KEY-CODE SCHEME NUMBER",
    actions.SUSPEND: "PARTY",
    actions.RESTORE: "PARTY",
    actions.NEXT_KEY: "PARTY KEY-CODE",
    actions.VALIDATOR_IN: "KEY-CODE POWER",
    actions.VALIDATOR_ROTATE: "KEY KEY-CODE",
    actions.VALIDATOR_SUSPEND: "KEY",
    actions.VALIDATOR_RESTORE: "KEY",
    actions.VALIDATOR_REMOVE: "KEY",
    actions.VALIDATOR_POWER: "KEY POWER",
}


def _power(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise MalformedError(f"power: {text!r} is not a whole number")
    return int(text)


def propose(desk: Desk, action: list[object], heights: int = HEIGHTS_TO_VOTE) -> str:
    """Opens a proposal; its id in hex."""
    return desk.send(KIND_PROPOSE, [1, action, desk.height() + heights])


def vote(desk: Desk, proposal_id: str, *, yes: bool) -> str:
    """Votes; the id of the voting transaction in hex."""
    return desk.send(KIND_VOTE, [1, hex_bytes(proposal_id, "proposal", 32), yes])


def next_key(desk: Desk, code: KeyCode) -> str:
    """Gives the own organisation its next key, signed with the present one."""
    return desk.send(KIND_PARTY_KEY, [1, code.alg, code.key, code.proof])


def identify(desk: Desk, party: str, *, scheme: str, number: str) -> str:
    """Records that the own organisation verified another's legal id."""
    return desk.send(KIND_IDENTITY, [1, party_named(desk, party), scheme, number])


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What is delegated; kinds empty: all that the title may have. One end at least."""

    name: str
    title: str
    kinds: tuple[int, ...]
    feeds: tuple[bytes, ...]
    until_height: int | None
    until_ms: int | None


def delegate(desk: Desk, code: KeyCode, scope: Scope) -> str:
    """Lets the key of a code act for the own organisation."""
    title = TITLES[scope.title]
    kinds = sorted(set(scope.kinds) or KINDS_OF_TITLE[title])
    body = [
        1, scope.name, title, code.alg, code.key, code.proof, kinds, sorted(set(scope.feeds)),
        scope.until_height, scope.until_ms,
    ]  # fmt: skip  # in the order of the format
    return desk.send(KIND_DELEGATE, body)


def end_key(desk: Desk, kid: str) -> str:
    """Ends a delegate's key, or the organisation's own."""
    return desk.send(KIND_END_KEY, [1, hex_bytes(kid, "key id", 16)])


def parties(desk: Desk) -> list[dict[str, Any]]:
    """Every organisation as it stands, by name."""
    said = {key[1]: row[0] for key, row in desk.rows("identity")}
    suspended = {key[1] for key, row in desk.rows("suspended") if row[1] is None}
    names = {key[1]: row[0] for key, row in desk.rows("party")}
    found = [
        {
            "name": row[0],
            "id": key[1].hex(),
            "role": ROLE_NAMES[row[3]],
            "key": kid_of(row[2]).hex(),
            "suspended": key[1] in suspended,
            "legal_ids": [
                {"scheme": scheme, "number": number, "verified_by": names[verifier], "at_ms": at_ms}
                for scheme, number, verifier, at_ms in said.get(key[1], [])
            ],
        }
        for key, row in desk.rows("party")
    ]
    return sorted(found, key=lambda item: (item["name"], item["id"]))


def delegates(desk: Desk) -> list[dict[str, Any]]:
    """Every delegation, those that ended too, by organisation and name."""
    names = {key[1]: row[0] for key, row in desk.rows("party")}
    titles = {number: text for text, number in TITLES.items()}
    found = [
        {
            "party": names[row[0]], "name": row[1], "title": titles[row[2]], "key": key[1].hex(),
            "kinds": row[5], "feeds": [feed.hex() for feed in row[6]],
            "until_height": row[7], "until_ms": row[8], "ended_ms": row[10],
        }
        for key, row in desk.rows("delegate")
    ]  # fmt: skip  # one line of who, one of what, one of how long
    return sorted(found, key=lambda item: (item["party"], item["name"], item["key"]))


def proposals(desk: Desk) -> list[dict[str, Any]]:
    """Every proposal, decided ones too, the newest last."""
    names = {key[1]: row[0] for key, row in desk.rows("party")}
    height = desk.height()
    pairs = [(key[1], read_proposal(row)) for key, row in desk.rows("proposal")]
    return [
        {
            "id": proposal_id.hex(),
            "action": ACTION_NAMES[made.action[0]],
            "about": [_plain(item) for item in made.action[1:]],
            "by": names[made.proposer],
            "until_height": made.until,
            "status": _status(made, height),
            "yes": [names[party] for party in made.yes],
            "no": [names[party] for party in made.no],
        }
        for proposal_id, made in sorted(pairs, key=lambda pair: (pair[1].opened_ms, pair[0]))
    ]


def _status(proposal: Proposal, height: int) -> str:
    if proposal.status == OPEN and proposal.until <= height:
        return "expired"
    return STATUS_NAMES[proposal.status]


def _plain(value: object) -> object:
    return value.hex() if isinstance(value, bytes) else value
