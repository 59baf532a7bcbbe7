"""A counter in a TPM's own memory that only goes up (TPM 2.0 Part 1, section 37: NV counters).

Reached through tpm2-tools: one program a call, some ten milliseconds, and no library to build. A
counter wears: count heads by the minute, not by the second.
"""

import asyncio
from asyncio.subprocess import DEVNULL, PIPE
from contextlib import suppress
from typing import Final

from firmware_bridge.errors import SignerUnavailableError, SpecError

SCHEME: Final = "tpm:"
TIMEOUT_S: Final = 10.0
# Where a TPM's owner may define indexes (TCG registry of reserved handles).
_INDEX_MIN, _INDEX_MAX = 0x01800000, 0x01BFFFFF
_VALUE_BYTES: Final = 8


class TpmCounter:
    """The counter that `tpm:0x01800010` names. It has to be defined and counted once before."""

    def __init__(self, uri: str, *, timeout_s: float = TIMEOUT_S) -> None:
        """Raises SpecError for what names no counter."""
        try:
            self._index = int(uri.removeprefix(SCHEME), 16)
        except ValueError:
            self._index = 0
        if not uri.startswith(SCHEME) or not _INDEX_MIN <= self._index <= _INDEX_MAX:
            raise SpecError("counter", "not tpm: with an index from 0x01800000 to 0x01bfffff")
        self._timeout_s = timeout_s

    async def read(self) -> int:
        """Its value. Raises SignerUnavailableError."""
        data = await self._run("tpm2_nvread", "-s", str(_VALUE_BYTES))
        if len(data) != _VALUE_BYTES:
            raise SignerUnavailableError(f"the TPM's counter has {len(data)} bytes, not 8")
        return int.from_bytes(data, "big")

    async def advance(self) -> int:
        """Counts one; its value then. Raises SignerUnavailableError: it may have counted or not."""
        await self._run("tpm2_nvincrement")
        return await self.read()

    async def _run(self, program: str, *options: str) -> bytes:
        index = f"0x{self._index:08x}"
        try:
            process = await asyncio.create_subprocess_exec(
                program, "-C", index, *options, index, stdin=DEVNULL, stdout=PIPE, stderr=PIPE
            )
        except OSError as error:
            raise SignerUnavailableError(
                f"{program} does not start; install tpm2-tools for the counter"
            ) from error
        try:
            async with asyncio.timeout(self._timeout_s):
                output, errors = await process.communicate()
        except TimeoutError:
            raise SignerUnavailableError(f"{program}: no answer in {self._timeout_s} s") from None
        finally:
            with suppress(ProcessLookupError):
                process.kill()
        if process.returncode:
            said = errors.decode("utf-8", "replace").strip().splitlines()
            raise SignerUnavailableError(f"{program}: {said[0][:200] if said else 'failed'}")
        return output
