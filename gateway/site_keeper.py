"""Takes up the configurations that the organisation sends, and lets go of those that fail.

A notice on the gossip stream names the newest version. It is fetched, proven against the pinned
chain, tried out dry, and then started; if a device that spoke before does not speak again in time,
the last configuration that was kept comes back.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

from consortium.configurations import (
    TOPIC_CONFIGURATION,
    configuration_key,
    decode_notice,
    signed_request,
)
from consortium.errors import ConsortiumError, MalformedError
from firmware_bridge.errors import KeyHolderError
from gateway.config import ORIGIN_SITE, GatewayConfig, Origin, parse_over
from gateway.dry_run import missing
from gateway.errors import ConfigError, SiteStateError
from gateway.site import (
    Cause,
    Channel,
    Verdict,
    kept,
    proven_version,
    refused,
    returned,
    staged,
    told,
)
from gateway.site_folder import SiteFolder, label_of
from gateway.slots import SlotBook
from ledger.entry import KIND_HEALTH
from ledger.errors import LedgerError
from ledger.signing import Signer

CHECK_S: Final = 0.5
RETRY_S: Final = 5.0
HEARD_US_MIN: Final = 120_000_000
HEARD_INTERVALS: Final = 3
_log = logging.getLogger(__name__)


class ConfigurationDoor(Protocol):
    """The call of `consortium.client` that this needs."""

    async def configuration(self, request: bytes) -> tuple[bytes, bytes]:
        """(text, chain part) of the gateway's newest configuration; raises ConsortiumError."""

    async def chain_id(self) -> str:
        """The chain's name."""


class SiteKeeper:
    """One gateway's; `restart` ends the run so that it begins again on what the folder says."""

    def __init__(
        self,
        config: GatewayConfig,
        book: SlotBook,
        *,
        feed_id: bytes,
        mono_us: Callable[[], int],
        signer: Callable[[], Signer | None],
        note: Callable[[int, list[object]], Awaitable[None]],
        restart: Callable[[], None],
        check_audiences: Callable[[GatewayConfig], None],
    ) -> None:
        self._config, self._book, self._feed_id = config, book, feed_id
        self._mono_us, self._signer = mono_us, signer
        self._note, self._restart, self._check_audiences = note, restart, check_audiences
        self._folder = SiteFolder(config.data_dir)
        self._noticed = asyncio.Event()
        self._heard_from = 0
        self.state = self._folder.state()
        self._at_start = {name: readings for name, readings, _, _ in self._channels()}
        self._until_us = mono_us() + config.site.trial_s * 1_000_000

    def hear(self, machine: int, topic: int, data: bytes) -> None:
        """A notice from the chain machine of that place in the configuration."""
        if topic != TOPIC_CONFIGURATION:
            return
        try:
            version = decode_notice(data)
        except MalformedError as error:
            _log.warning("site_notice_malformed error=%s", error)
            return
        if version > self.state.seen:
            self._heard_from = machine
            self._noticed.set()

    async def run(self, doors: Sequence[ConfigurationDoor]) -> None:
        """Watches the trial, then waits for newer versions, until cancelled. doors: one per
        configured chain machine, in their order.
        """
        await self._tell()
        await self._watch_trial()
        while self._config.site.accept:
            await self._noticed.wait()
            self._noticed.clear()
            try:
                await self._take(doors[self._heard_from], self._heard_from)
            except (ConsortiumError, LedgerError, KeyHolderError, SiteStateError) as error:
                _log.warning("site_configuration_not_taken error=%s", error)
                await asyncio.sleep(RETRY_S)
                self._noticed.set()

    # Taking up -------------------------------------------------------------------------------

    async def _take(self, door: ConfigurationDoor, machine: int) -> None:
        signer = self._signer()
        if signer is None:
            raise SiteStateError("the key holder is away: no request can be signed")
        request = await signed_request(
            signer, feed_id=self._feed_id, chain_id=await door.chain_id(), nonce=os.urandom(16)
        )
        text, part = await door.configuration(request)
        version = proven_version(
            text,
            part,
            feed_id=self._feed_id,
            genesis_sha256=self._config.peers[machine].genesis_sha256,
            configuration_key=configuration_key(self._feed_id),
        )
        if version > self.state.seen:
            await self._try_out(version, text)

    async def _try_out(self, version: int, text: bytes) -> None:
        origin = Origin(kind=ORIGIN_SITE, version=version, text=text)
        try:
            wished = parse_over(self._config.path, origin, label_of(origin))
            self._check_audiences(wished)
        except ConfigError as error:
            await self._refuse(version, Cause.UNREADABLE, str(error))
            return
        absent = await missing(self._config, wished)
        if absent:
            await self._refuse(version, Cause.DRY_RUN, "; ".join(absent))
            return
        self._folder.put_text(version, text)
        self.state = self._folder.change(
            lambda state: staged(state, version, self._heard_lately(wished))
        )
        _log.info("site_configuration_staged version=%d", version)
        if self.state.override is None:
            self._restart()

    async def _refuse(self, version: int, cause: Cause, reason: str) -> None:
        _log.error("site_configuration_refused version=%d reason=%s", version, reason)
        self.state = self._folder.change(
            lambda state: refused(state, version, cause=cause, reason=reason)
        )
        await self._tell()

    def _heard_lately(self, wished: GatewayConfig) -> list[Channel]:
        """Channels that speak now and are to go on: those that must be heard again."""
        now_us, devices = self._mono_us(), {device.spec.id for device in wished.devices}
        return [
            name
            for name, readings, last_us, interval_ms in self._channels()
            if readings
            and name[0] in devices
            and now_us - last_us <= max(HEARD_US_MIN, HEARD_INTERVALS * (interval_ms or 0) * 1000)
        ]

    def _channels(self) -> list[tuple[Channel, int, int, int | None]]:
        """(channel, readings, when last heard, interval) of every slot that has a channel."""
        rows = []
        for line in list(self._book.lines()):
            name = self._book.channel(line)
            if name is not None and line.descriptor is not None:
                rows.append((name, line.readings, line.last_order[1], line.descriptor[9]))
        return rows

    # On trial --------------------------------------------------------------------------------

    async def _watch_trial(self) -> None:
        while self.state.trial is not None and self._config.origin.kind == ORIGIN_SITE:
            silent = self._still_silent()
            if not silent:
                self.state = self._folder.change(kept)
                _log.info("site_configuration_kept version=%d", self.state.running)
                await self._tell()
                return
            if self._mono_us() >= self._until_us:
                await self._return(silent)
                return
            await asyncio.sleep(CHECK_S)

    def _still_silent(self) -> list[Channel]:
        trial = self.state.trial
        readings = {name: count for name, count, _, _ in self._channels()}
        return [
            name
            for name in (trial.expected if trial else ())
            if readings.get(name, 0) <= self._at_start.get(name, 0)
        ]

    async def _return(self, silent: list[Channel]) -> None:
        words = ", ".join(f"{device}/{channel}" for device, channel in silent)
        reason = f"not heard in {self._config.site.trial_s} s: {words}"
        _log.error("site_configuration_returned version=%d reason=%s", self.state.running, reason)
        self.state = self._folder.change(lambda state: returned(state, Cause.SILENT, reason))
        await self._tell()
        self._restart()

    async def _tell(self) -> None:
        """Puts the last verdict into the ledger, once. Its words stay here: that slot is public."""
        verdict = self.state.verdict
        if verdict is None or self.state.told:
            return
        body: list[object] = [
            1, "configuration", verdict.version, int(verdict.outcome), int(verdict.cause),
        ]  # fmt: skip  # one line reads as the format does
        await self._note(KIND_HEALTH, body)
        self.state = self._folder.change(told)

    # For the status page ---------------------------------------------------------------------

    def report(self) -> dict[str, object]:
        """What a status page says of it."""
        state = self.state
        return {
            "running": self._config.origin.version,
            "origin": ("file", "site", "override")[self._config.origin.kind],
            "kept": state.kept,
            "on_trial": state.trial is not None,
            "override": state.override,
            "verdict": _verdict_words(state.verdict),
        }

    def faults(self) -> list[str]:
        """What somebody has to look at."""
        verdict, faults = self.state.verdict, []
        if verdict is not None and verdict.reason and verdict.version == self.state.seen:
            word = verdict.outcome.name.lower()
            faults.append(f"site configuration {verdict.version} {word}: {verdict.reason}")
        if self.state.override is not None:
            faults.append(f"override in force: {self.state.override}")
        return faults


def _verdict_words(verdict: Verdict | None) -> dict[str, object] | None:
    if verdict is None:
        return None
    return {
        "version": verdict.version,
        "outcome": verdict.outcome.name.lower(),
        "cause": verdict.cause.name.lower(),
        "reason": verdict.reason,
    }
