"""`wharf gateway init`: finds ports and broker, makes the key, writes a commented configuration."""

import json
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from consortium.enrolment import EnrolmentCode, encode_enrolment
from firmware_bridge.errors import KeyExistsError
from firmware_bridge.keys.registry import create_key, open_signer
from gateway.config import GatewayConfig, parse_config
from gateway.errors import ConfigError, NotInitialisedError
from gateway.identity import (
    LEVEL_DEVELOPMENT,
    LEVEL_HARDWARE_CLAIMED,
    Identity,
    get_identity,
    new_identity,
    put_identity,
)
from ledger.entry import genesis_leaf
from ledger.signing import ES256
from ledger.store import Store

BROKER_PROBE_S: Final = 0.3
W1_GLOB: Final = "/sys/bus/w1/devices/28-*/w1_slave"
SERIAL_GLOB: Final = "/dev/serial/by-id/*"
_MAIN: Final = """\
# Wharfinger gateway. Every key that may be given is shown; what is commented out has that default.

[gateway]
name = {name}
party = {party}             # the organisation that answers for this box
data_dir = {data_dir}       # journal and ledger; keep it on the disk that survives
development = {development}   # true allows a key in a file; verdicts then say "development key"

[key]
uri = {key_uri}             # pkcs11:token=...;object=...;module-path=...;pin-source=file:...

[seal]
# count = 4096                # a block is cut at this many entries,
# interval_s = 30             # or this long after the first one waits,
# idle_s = 300                # and at least this often, so that "nothing came" is proven too

[status]
# host = "127.0.0.1"          # the box's page; 0.0.0.0: for the site, no password
# port = 8377

[retention]
# keep_days = 400             # readings stay so long while there is room; then they may go,
# used_percent_max = 80       # or earlier above this share of the room, oldest first;
# mirrors = 2                 # only those that so many parties hold, as the chain proves,
# opened = true               # and that a reader opened and found good

[broker]
# host = "127.0.0.1"
# port = 1883                 # {broker}
# persistent = true           # false: a broker that keeps nothing while this box is away
# username = "gateway"        # with password_file = "..." where the broker asks for them
# ca_file = "ca.pem"          # set: TLS
"""
_PEER: Final = """
[[consortium]]
address = {address}
certificate = {certificate}
genesis_sha256 = {genesis}
"""
_NO_PEER: Final = """
# Where the feed is carried to: values come from the chain machine (wharf chain status).
# [[consortium]]
# address = "chain.example:7411"
# certificate = "chain.pem"
# genesis_sha256 = "..."
"""
_AUDIENCE: Final = """
# Who may read: X25519 keys of readers (wharf chain reader-key). Outside development two are needed,
# one of them a recovery key that is kept offline.
[[audience]]
id = 1
name = "own goods"
readers = [{readers}]
"""
_DEVICE: Final = """
[[device]]
id = {id}
driver = {driver}
source = {source}
interval_s = {interval_s}
audience = 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What init was asked for; None where it has to find out itself."""

    config_path: Path
    name: str
    party: str
    data_dir: Path
    key_uri: str | None
    development: bool
    address: str | None
    certificate: Path | None
    genesis_sha256: str | None
    readers: tuple[str, ...]


def _existing(pattern: str) -> list[str]:
    return sorted(str(path) for path in Path("/").glob(pattern.lstrip("/")))


def found_devices() -> list[tuple[str, str, str, int]]:
    """(id, driver, source, interval in s) of what is plugged in now."""
    rows = []
    for number, path in enumerate(_existing(W1_GLOB), 1):
        rows.append((f"probe-{number}", "ds18b20", f"w1:{path}", 10))
    for number, path in enumerate(_existing(SERIAL_GLOB), 1):
        driver = "r200" if "rfid" in path.lower() or "CP210" in path else "nmea"
        rows.append((f"serial-{number}", driver, f"serial:{path}", 10))
    return rows


def broker_answers(host: str = "127.0.0.1", port: int = 1883) -> bool:
    """True where something listens at the broker's usual place."""
    try:
        with socket.create_connection((host, port), timeout=BROKER_PROBE_S):
            return True
    except OSError:
        return False


def _toml(value: object) -> str:
    """A value as a TOML text; JSON writes the same escapes."""
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def config_text(wish: Wish) -> str:
    """The configuration that init writes."""
    development = wish.key_uri is None or wish.key_uri.startswith("file:") or wish.development
    text = _MAIN.format(
        name=_toml(wish.name),
        party=_toml(wish.party),
        data_dir=_toml(wish.data_dir),
        development=str(development).lower(),
        key_uri=_toml(wish.key_uri or f"file:{wish.data_dir / 'development-key.pem'}"),
        broker="a broker answers there" if broker_answers() else "none answered when this was made",
    )
    if wish.address and wish.certificate and wish.genesis_sha256:
        text += _PEER.format(
            address=_toml(wish.address),
            certificate=_toml(wish.certificate),
            genesis=_toml(wish.genesis_sha256),
        )
    else:
        text += _NO_PEER
    text += _AUDIENCE.format(readers=", ".join(_toml(key) for key in wish.readers))
    for name, driver, source, interval_s in found_devices():
        text += _DEVICE.format(
            id=_toml(name), driver=_toml(driver), source=_toml(source), interval_s=interval_s
        )
    return text


async def initialise(wish: Wish) -> str:
    """Makes configuration, key and identity where they are missing; returns the enrolment code.

    Run again it changes nothing and gives the same code.
    """
    if not wish.config_path.exists():
        text = config_text(wish)
        parse_config(text, wish.config_path)
        wish.config_path.parent.mkdir(parents=True, exist_ok=True)
        # Whole or not at all: half a file would be taken for the operator's own at the next try.
        partial = wish.config_path.with_name(f".{wish.config_path.name}.new")
        partial.write_text(text, encoding="utf-8")
        partial.replace(wish.config_path)
    try:
        config = parse_config(wish.config_path.read_text(encoding="utf-8"), wish.config_path)
    except OSError as error:
        raise ConfigError(wish.config_path, None, "file", str(error)) from error
    config.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    config.data_dir.chmod(0o700)
    identity = await _identity(config)
    return enrolment_code(config, identity)


async def _identity(config: GatewayConfig) -> Identity:
    store = Store(config.data_dir / "store")
    try:
        with suppress(NotInitialisedError):
            return store.read(get_identity)
        # A key may be there already: made by the operator, or by a first try that was interrupted.
        with suppress(KeyExistsError):
            await create_key(config.key_uri, alg=ES256, development=config.development)
        signer = await open_signer(config.key_uri, development=config.development)
        try:
            level = LEVEL_HARDWARE_CLAIMED if signer.info.hardware else LEVEL_DEVELOPMENT
            spki = signer.public_key_der()
            identity = new_identity(config, alg=signer.alg, spki=spki, level=level)
        finally:
            await signer.aclose()
        store.write(lambda txn: put_identity(txn, identity))
        return identity
    finally:
        store.close()


def enrolment_code(config: GatewayConfig, identity: Identity) -> str:
    """What the operator of a chain machine admits the gateway by."""
    code = EnrolmentCode(
        feed_id=identity.feed_id,
        alg=identity.alg,
        spki=identity.spki,
        genesis_leaf=genesis_leaf(identity.genesis_entry),
        gateway_name=config.name,
        party_name=config.party,
        level=identity.level,
    )
    return encode_enrolment(code)
