"""The gateway's side of the signer process: asks, waits no longer than a timeout, checks every
answer.

A child that hangs or dies is killed and started anew at the next request. After a failure the next
try waits (doubling from 0.1 s to 5 s); until then requests fail at once, so nobody queues behind a
dead token. A refused PIN is final for this object: no process is started again.
"""

import asyncio
import logging
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

import firmware_bridge
from firmware_bridge.errors import (
    KeyHolderError,
    PinRejectedError,
    SignerFaultError,
    SignerUnavailableError,
)
from firmware_bridge.keys import wire
from firmware_bridge.keys.holder import HEALTH_TAG, KeyHolder
from firmware_bridge.keys.info import SignerInfo
from firmware_bridge.keys.uri import parse_token_uri
from ledger.errors import FormatError, NotCanonicalError, SignatureError
from ledger.signing import ES256, SIGNATURE_BYTES, PublicKey, low_s

TIMEOUT_S: Final = 5.0
_RETRY_S_MIN: Final = 0.1
_RETRY_S_MAX: Final = 5.0
_logger = logging.getLogger(__name__)


class SignerChild:
    """One signer process at a time, asked one thing at a time."""

    def __init__(self, uri: str, *, timeout_s: float = TIMEOUT_S) -> None:
        """Parses the URI (raises SpecError) and starts nothing yet."""
        parse_token_uri(uri)
        self._uri, self._timeout_s = uri, timeout_s
        self._process: Process | None = None
        self._turn = asyncio.Lock()
        self._retry_at_s, self._retry_s = 0.0, 0.0
        self._pin_error: PinRejectedError | None = None

    @property
    def pid(self) -> int | None:
        """The child's process id, while there is one."""
        return None if self._process is None else self._process.pid

    async def ask(self, *request: object) -> list[Any]:
        """The child's answer. Raises the KeyHolderErrors."""
        async with self._turn:
            self._refuse_early()
            try:
                async with asyncio.timeout(self._timeout_s):
                    values = await self._exchange(list(request))
            except PinRejectedError as error:
                self._pin_error = error
                _logger.error("pin_refused tries=1")  # noqa: TRY400  # the trace tells nothing more
                await self._end_child()
                raise
            except SignerUnavailableError:
                self._wait_longer()
                raise
            except TimeoutError:
                await self._end_child()
                self._wait_longer()
                raise SignerUnavailableError(f"no answer in {self._timeout_s} s") from None
            except (OSError, asyncio.IncompleteReadError, NotCanonicalError) as error:
                await self._end_child()
                self._wait_longer()
                raise SignerUnavailableError("the signer process died") from error
            except asyncio.CancelledError:
                # Its answer would be read as the next one's.
                self._kill()
                raise
            self._retry_s = 0.0
            return values

    async def aclose(self) -> None:
        """Ends the child."""
        async with self._turn:
            await self._end_child()

    def _refuse_early(self) -> None:
        if self._pin_error is not None:
            raise type(self._pin_error)(str(self._pin_error))
        if asyncio.get_running_loop().time() < self._retry_at_s:
            raise SignerUnavailableError("the signer failed a moment ago; waiting before a new try")

    def _wait_longer(self) -> None:
        self._retry_s = min(max(2 * self._retry_s, _RETRY_S_MIN), _RETRY_S_MAX)
        self._retry_at_s = asyncio.get_running_loop().time() + self._retry_s
        _logger.warning("signer_unavailable retry_s=%s", self._retry_s)

    async def _exchange(self, request: list[Any]) -> list[Any]:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "firmware_bridge.keys.signer_process",
                stdin=PIPE,
                stdout=PIPE,
                # `-m` looks into the working directory first: let that be where we come from.
                cwd=Path(firmware_bridge.__file__).parents[1],
            )
            await self._round(self._process, ["open", self._uri])
        return await self._round(self._process, request)

    async def _round(self, process: Process, request: list[Any]) -> list[Any]:
        if process.stdin is None or process.stdout is None:
            raise SignerUnavailableError("the signer process has no pipes")
        process.stdin.write(wire.frame(request))
        await process.stdin.drain()
        prefix = await process.stdout.readexactly(wire.LENGTH_BYTES)
        return wire.answer(await process.stdout.readexactly(wire.body_length(prefix)))

    async def _end_child(self) -> None:
        process = self._process
        self._kill()
        if process is not None:
            await process.wait()

    def _kill(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            with suppress(ProcessLookupError):  # it may go by itself in between
                process.kill()


class ProcessSigner(KeyHolder):
    """A `ledger.signing.Signer` whose key is on a PKCS#11 token behind a process of its own."""

    def __init__(self, child: SignerChild, key: PublicKey, info: SignerInfo) -> None:
        super().__init__(key, info)
        self._child = child

    @classmethod
    async def open(cls, uri: str, *, timeout_s: float = TIMEOUT_S) -> Self:
        """Starts the child, logs in once and reads the key. Raises the KeyHolderErrors."""
        child = SignerChild(uri, timeout_s=timeout_s)
        try:
            alg, spki, hardware, never_extractable = await child.ask("facts")
            key = PublicKey(alg, spki)
        except (KeyHolderError, FormatError, asyncio.CancelledError):
            await child.aclose()
            raise
        label = parse_token_uri(uri).object
        return cls(
            child,
            key,
            SignerInfo(
                backend="pkcs11",
                hardware=hardware,
                never_extractable=never_extractable,
                label=label,
            ),
        )

    @property
    def child_pid(self) -> int | None:
        """The signer process, for health pages and tests."""
        return self._child.pid

    async def sign(self, tbs: bytes) -> bytes:
        """64 bytes over the whole Sig_structure, verified here before they leave.

        Raises SignerUnavailableError (try again), PinRejectedError (never again), SignerFaultError.
        """
        (signature,) = await self._child.ask("sign", tbs)
        if not isinstance(signature, bytes) or len(signature) != SIGNATURE_BYTES:
            raise SignerFaultError("the token's signature does not have 64 bytes")
        signature = low_s(signature) if self.alg == ES256 else signature
        try:
            self._key.verify(tbs, signature)
        except SignatureError as error:
            # Another key under the same label, or a faulty chip: either way not our signature.
            raise SignerFaultError("the token's signature does not verify") from error
        return signature

    async def health(self) -> None:
        """Makes and checks a signature under a tag that no document carries. Raises as sign()."""
        await self.sign(HEALTH_TAG)

    async def aclose(self) -> None:
        """Ends the signer process."""
        await self._child.aclose()


async def create_token_key(uri: str, *, alg: int, timeout_s: float = 60.0) -> None:
    """Makes a non-extractable key on the token, in a signer process. Raises the KeyHolderErrors.

    timeout_s is long: some chips take half a minute to find a key.
    """
    child = SignerChild(uri, timeout_s=timeout_s)
    try:
        await child.ask("create", alg)
    finally:
        await child.aclose()
