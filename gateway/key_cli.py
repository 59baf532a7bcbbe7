"""`wharf gateway enrol`, `rotate` and `retire`: the life of a gateway's signing key."""

import argparse
import asyncio
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from firmware_bridge.keys.registry import open_signer
from gateway.compose import open_doors, open_gateway
from gateway.config import GatewayConfig, read_config
from gateway.errors import ConfigError, IdentityError, RunningError
from gateway.identity import Identity, get_identity
from gateway.init import enrolment_code
from gateway.rotation import rotate
from ledger.store import Store, is_in_use

ANCHOR_WAIT_S: Final = 60
_EXAMPLES: Final = {
    "enrol": "  wharf gateway enrol --config gateway.toml --request gateway.csr\n",
    "rotate": (
        "  wharf gateway rotate --config gateway.toml \\\n"
        '      --new-key "pkcs11:token=wharf;object=ledger-2?module-path=...&pin-source=file:..."\n'
    ),
    "retire": "  wharf gateway retire --config gateway.toml\n",
}


def register(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the three words."""
    enrol = _add(actions, "enrol", "say what the organisation needs to enrol this box", _enrol)
    enrol.add_argument("--request", type=Path, metavar="FILE", help="write a PKCS#10 request too")
    turn = _add(actions, "rotate", "have another key follow the present one", _rotate)
    turn.add_argument("--new-key", required=True, metavar="URI", help="made if it is not there")
    retire = _add(actions, "retire", "end every channel of this box, in good order", _retire)
    retire.add_argument("--wait-s", type=int, default=ANCHOR_WAIT_S, help="default: %(default)s")


def _add(actions: Any, name: str, text: str, run: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(
        name,
        help=text,
        epilog=f"examples:\n{_EXAMPLES[name]}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, default=Path("gateway.toml"))
    parser.set_defaults(run=run)
    return parser


def _stopped(config: GatewayConfig) -> Store:
    """The store of a gateway that does not run; raises RunningError where it does."""
    if is_in_use(config.data_dir / "store"):
        raise RunningError("the gateway runs; stop it first (systemctl stop wharf-gateway)")
    return Store(config.data_dir / "store")


def _identity(config: GatewayConfig) -> Identity:
    store = _stopped(config)
    try:
        return store.read(get_identity)
    finally:
        store.close()


def _enrol(arguments: argparse.Namespace) -> int:
    config = read_config(arguments.config)
    identity = _identity(config)
    if arguments.request is not None:
        pem = asyncio.run(_request(config, identity))
        arguments.request.write_bytes(pem)
        sys.stderr.write(f"certificate request: {arguments.request} (wharf chain certify)\n")
    sys.stderr.write("enrolment code (wharf chain enrol CODE):\n")
    sys.stdout.write(enrolment_code(config, identity) + "\n")
    return 0


async def _request(config: GatewayConfig, identity: Identity) -> bytes:
    from firmware_bridge.keys.certificate_request import certificate_request

    signer = await open_signer(config.key_uri, development=config.development)
    try:
        if signer.public_key_der() != identity.spki:
            raise IdentityError("the key in the token is not this feed's; put the right one in")
        return await certificate_request(
            signer, gateway=config.name, party=config.party, feed_id=identity.feed_id
        )
    finally:
        await signer.aclose()


def _rotate(arguments: argparse.Namespace) -> int:
    config = read_config(arguments.config)
    _identity(config)
    if not config.peers:
        mend = "a rotation is recorded on the chain; name a machine in [[consortium]]"
        raise ConfigError(config.path, None, "consortium", mend)
    rotated = asyncio.run(_rotated(config, arguments.new_key))
    sys.stdout.write(
        f"key {rotated.new_kid.hex()[:8]} follows {rotated.old_kid.hex()[:8]}; "
        f"{config.path} names it. Start the gateway, then destroy the old key.\n"
    )
    return 0


async def _rotated(config: GatewayConfig, new_uri: str) -> Any:
    (door,) = open_doors(config.peers[:1])
    try:
        return await rotate(config, new_uri, door)
    finally:
        await door.aclose()


def _retire(arguments: argparse.Namespace) -> int:
    config = read_config(arguments.config)
    identity = _identity(config)
    anchored = asyncio.run(_retired(config, arguments.wait_s))
    feed = identity.feed_id.hex()
    if not anchored:
        sys.stderr.write("not anchored yet: nothing is lost; run this again with the chain up\n")
        return 1
    sys.stdout.write(f"retired and anchored. The organisation: wharf chain retire {feed}\n")
    return 0


async def _retired(config: GatewayConfig, wait_s: int) -> bool:
    """Ends every slot, and carries that to the chain. True once it is anchored."""
    doors = open_doors(config.peers)
    opened = open_gateway(replace(config, devices=()), doors)
    stop = asyncio.Event()
    running = asyncio.create_task(opened.gateway.run(stop))
    try:
        ending = asyncio.create_task(opened.gateway.retire(wait_s))
        await asyncio.wait({ending, running}, return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        await running
        return await ending
    finally:
        opened.close()
        for door in doors:
            await door.aclose()
