"""Runs inside the environment of `scitt-cose`: one question a line in, one answer a line out.

in   {"ask": "inclusion", "receipt", "leaf", "key"}
     {"ask": "consistency", "receipt", "old_size", "old_root", "new_root", "key"}
out  {"ok": bool, "said": str}
"""

import json
import sys
from typing import Any

import cbor2
from scitt_cose import (  # type: ignore[import-not-found]  # in an environment of its own
    CoseError,
    verify_consistency,
    verify_receipt,
    verify_sign1,
)

DETACHED_LABELS = frozenset({1, 2, 4, 15, 16, 395})


def inclusion(asked: dict[str, Any]) -> dict[str, Any]:
    """The package's own judgement of a receipt of inclusion."""
    found = verify_receipt(
        bytes.fromhex(asked["receipt"]),
        leaf_entry_hex=asked["leaf"],
        log_public_key_pem=asked["key"].encode(),
    )
    return {"ok": found.ok, "said": "; ".join(found.errors)}


def consistency(asked: dict[str, Any]) -> dict[str, Any]:
    """A receipt of consistency by the package's signature and path checks."""
    receipt = bytes.fromhex(asked["receipt"])
    old, new, path = cbor2.loads(cbor2.loads(receipt).value[1][396][-2][0])
    try:
        verify_sign1(
            receipt,
            public_key_pem=asked["key"].encode(),
            detached_payload=bytes.fromhex(asked["new_root"]),
            understood_labels=DETACHED_LABELS,
        )
    except CoseError as error:
        return {"ok": False, "said": str(error)}
    grown = verify_consistency(
        asked["old_root"], asked["new_root"], old, new, [item.hex() for item in path]
    )
    return {"ok": grown and old == asked["old_size"], "said": "path"}


def main() -> None:
    """Answers until the input ends."""
    kinds = {"inclusion": inclusion, "consistency": consistency}
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(kinds[asked["ask"]](asked)))


if __name__ == "__main__":
    main()
