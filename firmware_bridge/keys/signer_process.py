"""The signer's own process: vendor libraries and PINs stay in here (`-m
firmware_bridge.keys.signer_process`).

Requests on stdin, answers on stdout (wire.py): ["open", uri], then ["facts"], ["sign", bytes],
["create", alg]. Ends when stdin ends. Reads the PIN from the URI's file and tells it to nobody.
"""

import os
import resource
import signal
import sys
from typing import Any, BinaryIO

from firmware_bridge.errors import FirmwareBridgeError, KeyHolderError, SpecError
from firmware_bridge.keys import wire
from firmware_bridge.keys.pkcs11 import TokenKey
from firmware_bridge.keys.uri import parse_token_uri
from ledger.canonical import decode


def main() -> None:
    """Serves one parent until it closes the pipe."""
    # A stop of the whole service reaches us first, but the last head still wants a signature.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold the PIN
    # Vendor libraries print to stdout; only we may write to the pipe.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(sys.stdin.buffer, answers)


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answers requests in turn until there are no more."""
    key: TokenKey | None = None
    while (request := _read(requests)) is not None:
        try:
            if request[0] == "open":
                key = TokenKey(parse_token_uri(request[1]))
                reply = [wire.OK]
            else:
                reply = [wire.OK, *_handle(key, request)]
        except KeyHolderError as error:
            reply = wire.error_message(error)
        except FirmwareBridgeError as error:
            reply = [KeyHolderError.__name__, str(error)]
        try:
            answers.write(wire.frame(reply))
            answers.flush()
        except BrokenPipeError:
            return  # the gateway was killed while it waited for this


def _read(requests: BinaryIO) -> list[Any] | None:
    prefix = requests.read(wire.LENGTH_BYTES)
    if len(prefix) < wire.LENGTH_BYTES:
        return None
    body = requests.read(wire.body_length(prefix))
    request = decode(body)
    return request if isinstance(request, list) and request else None


def _handle(key: TokenKey | None, request: list[Any]) -> list[Any]:
    if key is None:
        raise SpecError("signer", "no key was opened")
    match request:
        case ["facts"]:
            facts = key.facts()
            return [facts.alg, facts.spki, facts.hardware, facts.never_extractable]
        case ["sign", bytes(tbs)]:
            return [key.sign(tbs)]
        case ["create", int(alg)]:
            key.create(alg)
            return []
    raise SpecError("signer", "unknown request")


if __name__ == "__main__":
    main()
