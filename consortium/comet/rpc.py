"""The node's JSON-RPC over its unix socket, and its JSON as the ledger's own records.

Source: CometBFT v0.39.4, `rpc/openapi/openapi.yaml`. The node is ours and on this machine; what it
says of votes is verified all the same before anybody else sees it.
"""

import base64
import http.client
import json
import socket
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from consortium.errors import ChainUnavailableError, MalformedError
from ledger.chain_proof import Commit, SignedHeader
from ledger.comet import BlockId, ChainHeader

ANSWER_BYTES_MAX: Final = 64 << 20
BATCH_BYTES_MAX: Final = 4 << 20
BATCH_MAX: Final = 500
TIMEOUT_S: Final = 10.0
FLAG_COMMIT: Final = 2
NS_PER_SECOND: Final = 1_000_000_000
NANO_DIGITS: Final = 9


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("node", timeout=TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT_S)
        self.sock.connect(str(self._path))


class NodeRpc:
    """Blocking calls to one node; any thread may make them. Raises ChainUnavailableError."""

    def __init__(self, socket_path: Path) -> None:
        self._path = socket_path

    def call(self, method: str, **parameters: object) -> Any:
        """The result of one method; raises ChainUnavailableError with the node's words."""
        answer = self._post(_request(0, method, parameters))
        if not isinstance(answer, dict) or answer.get("error"):
            raise ChainUnavailableError(f"node: {method}: {_words(answer)}")
        return answer.get("result")

    def broadcast(self, txs: Sequence[bytes]) -> list[str | None]:
        """Hands transactions to the node's mempool; what it has against each, or None."""
        words: list[str | None] = []
        for batch in _batches(txs):
            calls = [
                _request(n, "broadcast_tx_async", {"tx": base64.b64encode(tx).decode()})
                for n, tx in enumerate(batch)
            ]
            answers = self._post(calls)
            if not isinstance(answers, list):  # Go answers a batch of one as one
                answers = [answers]
            by_id = {answer.get("id"): answer for answer in answers if isinstance(answer, dict)}
            words += [_words(by_id.get(n)) for n in range(len(batch))]
        return words

    def signed_header(self, height: int) -> SignedHeader:
        """The header at a height with the votes for it, not verified."""
        result = self.call("commit", height=str(height))
        if not isinstance(result, dict):
            raise ChainUnavailableError(f"node: block {height} is not there, or pruned")
        return signed_header_from_json(result["signed_header"])

    def highest_block(self) -> int | None:
        """The highest block that this node or a peer has; None while old blocks are fetched.

        Waits for a node that is working out a block, so never ask where the node waits for you.
        Raises ChainUnavailableError; MalformedError where the node's JSON is not of its form.
        """
        try:
            sync = self.call("status")["sync_info"]
            if sync["catching_up"]:
                return None
            peers = self.call("dump_consensus_state")["peers"] or []
            # A peer works on the height after its last block.
            heights = [int(row["peer_state"]["round_state"]["height"]) - 1 for row in peers]
            return max([int(sync["latest_block_height"]), *heights])
        except (KeyError, TypeError, ValueError) as error:
            raise MalformedError(f"node: {error!r}") from error

    def _post(self, body: object) -> Any:
        connection = _UnixConnection(self._path)
        try:
            headers = {"Content-Type": "application/json"}
            connection.request("POST", "/", json.dumps(body).encode(), headers)
            return json.loads(connection.getresponse().read(ANSWER_BYTES_MAX))
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ChainUnavailableError(f"the node does not answer: {error}") from error
        finally:
            connection.close()


def _request(number: int, method: str, parameters: Mapping[str, object]) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": parameters}


def _words(answer: Any) -> str | None:
    if not isinstance(answer, dict):
        return "no answer"
    error = answer.get("error")
    return None if not error else str(error.get("data") or error.get("message"))


def _batches(txs: Sequence[bytes]) -> list[list[bytes]]:
    batches: list[list[bytes]] = [[]]
    size_bytes = 0
    for tx in txs:
        if batches[-1] and (
            size_bytes + len(tx) > BATCH_BYTES_MAX or len(batches[-1]) == BATCH_MAX
        ):
            batches.append([])
            size_bytes = 0
        batches[-1].append(tx)
        size_bytes += len(tx)
    return batches


def time_ns(text: str) -> int:
    """Nanoseconds since 1970 of a time as Go writes it: RFC 3339 with 0 to 9 decimals, UTC."""
    whole, _, decimals = text.removesuffix("Z").partition(".")
    seconds = int(datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp())
    return seconds * NS_PER_SECOND + int(decimals.ljust(NANO_DIGITS, "0") or 0)


def _block_id(value: Mapping[str, Any]) -> BlockId:
    parts = value["parts"]
    return BlockId(bytes.fromhex(value["hash"]), int(parts["total"]), bytes.fromhex(parts["hash"]))


def signed_header_from_json(value: Mapping[str, Any]) -> SignedHeader:
    """A header with its commit; raises MalformedError where the node's JSON is not of its form."""
    try:
        return SignedHeader(_header(value["header"]), _commit(value["commit"]))
    except (KeyError, TypeError, ValueError) as error:
        raise MalformedError(f"node: signed header: {error!r}") from error


def _header(value: Mapping[str, Any]) -> ChainHeader:
    names = (
        "last_commit_hash", "data_hash", "validators_hash", "next_validators_hash",
        "consensus_hash", "app_hash", "last_results_hash", "evidence_hash", "proposer_address",
    )  # fmt: skip
    return ChainHeader(
        block_version=int(value["version"]["block"]),
        app_version=int(value["version"].get("app", 0)),
        chain_id=value["chain_id"],
        height=int(value["height"]),
        time_ns=time_ns(value["time"]),
        last_block_id=_block_id(value["last_block_id"]),
        **{name: bytes.fromhex(value[name]) for name in names},
    )


def _commit(value: Mapping[str, Any]) -> Commit:
    block_id = _block_id(value["block_id"])
    votes = tuple(
        (time_ns(item["timestamp"]), base64.b64decode(item["signature"]))
        if item["block_id_flag"] == FLAG_COMMIT
        else None
        for item in value["signatures"]
    )
    return Commit(int(value["round"]), block_id.parts_total, block_id.parts_hash, votes)
