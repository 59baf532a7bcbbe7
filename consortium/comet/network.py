"""How a machine stands among the others: peers, heights, who voted, whether all agree."""

from contextlib import suppress
from typing import Any, Final

from consortium.comet.engine import CometEngine
from consortium.comet.rpc import NodeRpc
from consortium.errors import ChainUnavailableError, MalformedError

UNKNOWN_HEIGHT: Final = -1


class NetworkView:
    """Blocking questions to the machine's own node; any thread may ask."""

    def __init__(self, engine: CometEngine, rpc: NodeRpc) -> None:
        self._engine, self._rpc = engine, rpc

    def report(self) -> dict[str, Any]:
        """Plain values; `node_answers` False: the rest is only what the application knows."""
        engine, application = self._engine, self._engine.application
        proven = engine.proven
        found: dict[str, Any] = {
            "node_answers": False,
            "application_height": application.height,
            "node_height": UNKNOWN_HEIGHT,
            "catching_up": False,
            "lag": 0,
            "peers": [],
            "votes": [],
            "app_hash_agrees": bool(proven),
            "app_hash_compared_at": proven.signed_header.header.height if proven else 0,
            "pending": engine.pending,
            "misbehaviour": engine.abci.misbehaviour_count,
        }
        found["votes"] = self._votes()
        with suppress(ChainUnavailableError, MalformedError):
            found |= self._asked()
        return found

    def _votes(self) -> list[list[Any]]:
        """[address, power, whether it voted] of each validator at the newest proven header."""
        proven = self._engine.proven
        if proven is None:
            return []
        header, commit = proven.signed_header.header, proven.signed_header.commit
        validators = self._engine.validators_at(header.height)
        return [
            [item.address.hex(), item.power, vote is not None]
            for item, vote in zip(validators, commit.votes, strict=True)
        ]

    def _asked(self) -> dict[str, Any]:
        try:
            sync = self._rpc.call("status")["sync_info"]
            peers = [_peer(row) for row in self._rpc.call("dump_consensus_state")["peers"] or []]
            height = int(sync["latest_block_height"])
            catching_up = bool(sync["catching_up"])
        except (KeyError, TypeError, ValueError) as error:
            raise MalformedError(f"node: {error!r}") from error
        # A peer works on the height after its last block.
        highest = max([height, *(peer_height - 1 for _, peer_height in peers)])
        return {
            "node_answers": True,
            "node_height": height,
            "catching_up": catching_up,
            "lag": highest - self._engine.application.height,
            "peers": [[address, peer_height - 1] for address, peer_height in peers],
        }


def _peer(row: dict[str, Any]) -> tuple[str, int]:
    return str(row["node_address"]), int(row["peer_state"]["round_state"]["height"])
