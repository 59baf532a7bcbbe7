"""Which configuration a gateway runs on, and what becomes of one that the organisation sent. Pure.

    file ──staged──▶ on trial ──kept──▶ kept ──staged──▶ on trial ...
                        │
                        └──returned──▶ the last one that was kept, or the box's own file

A version that was refused or returned is never tried again; a newer one is. An override on the
spot stands above all of them until it is ended.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, Final

from gateway.errors import SiteStateError
from ledger.canonical import decode, encode
from ledger.chain_proof import decode_chain_part, verify_chain_part
from ledger.errors import InputError, LedgerError
from ledger.hashing import sha256

STATE_VERSION: Final = 1
STARTS_MAX: Final = 3  # a configuration on which the gateway dies again and again is given up
REASON_CHARACTERS_MAX: Final = 200
Channel = tuple[str, str]  # device id, channel


class Outcome(IntEnum):
    """What became of a version; these numbers stand in the ledger."""

    KEPT = 1
    RETURNED = 2
    REFUSED = 3


class Cause(IntEnum):
    """Why a version was not kept; these numbers stand in the ledger."""

    NONE = 0
    UNREADABLE = 1  # no configuration, or one that this box's file and devices exclude
    DRY_RUN = 2  # a port or a broker that it names is not there
    SILENT = 3  # a device that spoke before did not speak again
    CRASHED = 4  # the gateway did not stay up on it


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a version, the cause as a number and in words for the operator."""

    version: int
    outcome: Outcome
    cause: Cause = Cause.NONE
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """A version that has to prove itself: who must speak, and how often it was started."""

    expected: tuple[Channel, ...]
    starts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteState:
    """running, kept: versions, 0 for the box's own file. seen: the newest version ever taken up.
    told: whether the ledger holds the verdict.
    """

    running: int = 0
    kept: int = 0
    seen: int = 0
    trial: Trial | None = None
    verdict: Verdict | None = None
    told: bool = True
    override: str | None = None  # the reason that was given


def staged(state: SiteState, version: int, expected: Iterable[Channel]) -> SiteState:
    """The state in which a newer version is on trial."""
    if version <= state.seen:
        raise SiteStateError(f"version {version} after {state.seen}")
    return replace(state, running=version, seen=version, trial=Trial(tuple(expected)))


def started(state: SiteState) -> SiteState:
    """The state at a start: a trial that was started too often is over."""
    if state.trial is None or state.override is not None:
        return state
    if state.trial.starts >= STARTS_MAX:
        text = f"the gateway ended {STARTS_MAX} times before the trial was over"
        return returned(state, Cause.CRASHED, text)
    return replace(state, trial=replace(state.trial, starts=state.trial.starts + 1))


def kept(state: SiteState) -> SiteState:
    """The state once everyone spoke again."""
    verdict = Verdict(state.running, Outcome.KEPT)
    return replace(state, kept=state.running, trial=None, verdict=verdict, told=False)


def returned(state: SiteState, cause: Cause, reason: str) -> SiteState:
    """The state on the last version that was kept, or on the box's file where that one fails."""
    back = state.kept if state.kept != state.running else 0
    verdict = Verdict(state.running, Outcome.RETURNED, cause, reason[:REASON_CHARACTERS_MAX])
    return replace(state, running=back, kept=back, trial=None, verdict=verdict, told=False)


def refused(state: SiteState, version: int, *, cause: Cause, reason: str) -> SiteState:
    """The state after a version that was not even tried."""
    verdict = Verdict(version, Outcome.REFUSED, cause, reason[:REASON_CHARACTERS_MAX])
    return replace(state, seen=max(state.seen, version), verdict=verdict, told=False)


def told(state: SiteState) -> SiteState:
    """The state once the ledger holds the verdict."""
    return replace(state, told=True)


def encode_state(state: SiteState) -> bytes:
    """The state's canonical bytes."""
    trial, verdict = state.trial, state.verdict
    return encode(
        [
            STATE_VERSION, state.running, state.kept, state.seen,
            None if trial is None else [[list(row) for row in trial.expected], trial.starts],
            None if verdict is None
            else [verdict.version, int(verdict.outcome), int(verdict.cause), verdict.reason],
            state.told, state.override,
        ]
    )  # fmt: skip  # one line per group reads as the format does


def decode_state(data: bytes) -> SiteState:
    """The state in these bytes; raises SiteStateError."""
    try:
        value: list[Any] = decode(data)
        version, running, kept_version, seen, trial, verdict, told, override = value
        if version != STATE_VERSION:
            raise SiteStateError(f"state of version {version}")
        return SiteState(
            running=running,
            kept=kept_version,
            seen=seen,
            trial=trial and Trial(tuple((row[0], row[1]) for row in trial[0]), trial[1]),
            verdict=verdict
            and Verdict(verdict[0], Outcome(verdict[1]), Cause(verdict[2]), verdict[3]),
            told=told,
            override=override,
        )
    except (InputError, TypeError, ValueError, IndexError) as error:
        raise SiteStateError(f"not the state of a site configuration: {error}") from error


def proven_version(
    text: bytes, part: bytes, *, feed_id: bytes, genesis_sha256: bytes, configuration_key: bytes
) -> int:
    """The version under which the chain holds this text as the feed's newest configuration.

    Raises SiteStateError where the chain part does not prove it.
    """
    try:
        chain = verify_chain_part(decode_chain_part(part), trusted_genesis_sha256=genesis_sha256)
        state = chain.states.get(configuration_key)
        value: list[Any] = decode(state) if state is not None else []
    except LedgerError as error:
        raise SiteStateError(f"the chain's proof: {error}") from error
    if len(value) != 4 or value[0] != 1 or value[2] != sha256(text):  # its layout
        raise SiteStateError(f"the chain holds another configuration for {feed_id.hex()[:8]}")
    version: int = value[1]
    return version
