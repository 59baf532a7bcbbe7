"""How several organisations found a chain: each makes a card, all make one genesis of all cards.

Nothing is sent by this program. Cards are public and signed by their organisation's key, over
"wharf/card/1" || the canonical list of all other fields; that shows a card changed on its way, not
one replaced as a whole, so the people compare the genesis digest by voice before they start. The
same cards in any order give the same document.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from consortium.app.legal_ids import require_legal_id
from consortium.app.refusal import Refused
from consortium.comet.files import make_node_keys, read_node_keys
from consortium.config import (
    CERTIFICATE_NAME,
    COMET_TEMPLATE,
    CONFIG_NAME,
    GENESIS_NAME,
    TEMPLATE,
    TLS_KEY_NAME,
    read_config,
)
from consortium.errors import ConfigError
from consortium.file_keys import FileSigner, make_key, write_private
from consortium.founding import BLOCK_BYTES_MAX, PARTY_KEY_NAME, POWER, toml_text
from consortium.tls import make_certificate
from ledger.canonical import encode
from ledger.chain_genesis import ROLE_OPERATOR, Genesis, GenesisParty, decode_genesis
from ledger.chain_proof import APP_VERSION
from ledger.comet import Validator, in_set_order
from ledger.errors import InputError, LedgerError
from ledger.signing import PublicKey

CARD_NAME: Final = "founding_card.json"
CARD_BYTES_MAX: Final = 4_096
CARD_TAG: Final = b"wharf/card/1"
NO_LEGAL_ID: Final = ("", "")
FOUNDERS_MAX: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What a founder tells the others. Keys in hex; `address`: host:port of its CometBFT node."""

    chain_id: str
    party: str
    alg: int
    spki: str
    validator_key: str
    node_id: str
    address: str
    certificate_sha256: str
    legal_scheme: str = ""
    legal_number: str = ""
    signature: str = ""

    def tbs(self) -> bytes:
        """The bytes that the organisation's key signs."""
        value = asdict(self)
        del value["signature"]
        return CARD_TAG + encode(list(value.values()))

    @property
    def legal_id(self) -> str:
        """Scheme and number as people write them; empty where none was given."""
        return f"{self.legal_scheme} {self.legal_number}".strip()

    @property
    def peer(self) -> str:
        """The node as its peers write it."""
        return f"{self.node_id}@{self.address}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where a machine listens (host:port): `server` for gateways, `node` for other validators."""

    server: str
    node: str
    external: str = ""


def make_founder(
    home: Path,
    *,
    chain_id: str,
    party: str,
    places: Places,
    now: datetime,
    legal_id: tuple[str, str] = NO_LEGAL_ID,
) -> Card:
    """Writes a founder's keys, certificate and configuration, and its card; raises ConfigError.

    legal_id: scheme and number, as its register has them.
    """
    _check_legal_id(*legal_id)
    if (home / CARD_NAME).exists() or (home / GENESIS_NAME).exists():
        raise ConfigError(f"{home}: holds a founder or a chain already; choose another folder")
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    home.chmod(0o700)
    keys = make_node_keys(home)
    key = make_key(home / PARTY_KEY_NAME)
    signer = FileSigner(key)
    certificate = make_certificate(home / CERTIFICATE_NAME, home / TLS_KEY_NAME, now)
    write_config(home, party=party, places=places, peers="")
    card = Card(
        chain_id=chain_id,
        party=party,
        alg=signer.alg,
        spki=signer.public_key_der().hex(),
        validator_key=keys.validator_key.hex(),
        node_id=keys.node_id,
        address=places.external or places.node,
        certificate_sha256=certificate.hex(),
        legal_scheme=legal_id[0],
        legal_number=legal_id[1],
    )
    card = replace(card, signature=key.sign(card.tbs()).hex())
    write_private(home / CARD_NAME, json.dumps(asdict(card), indent=1).encode())
    return card


def write_config(home: Path, *, party: str, places: Places, peers: str) -> None:
    """Writes chain.toml of a machine with a CometBFT node."""
    text = TEMPLATE.format(name=toml_text(party), listen=places.server) + COMET_TEMPLATE.format(
        listen=places.node, external=places.external, peers=peers
    )
    write_private(home / CONFIG_NAME, text.encode())


def read_card(path: Path) -> Card:
    """A card that somebody handed over; raises ConfigError."""
    try:
        data = path.read_bytes()
        if len(data) > CARD_BYTES_MAX:
            raise ConfigError(f"{path}: not a founding card: {len(data)} bytes")
        value: Any = json.loads(data)
        card = Card(**value)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f"{path}: not a founding card: {error}") from error
    for name, kind in Card.__annotations__.items():
        if type(getattr(card, name)) is not kind:
            raise ConfigError(f"{path}: {name} is not of type {kind.__name__}")
    if any(mark in card.peer for mark in ',"\\\n '):
        raise ConfigError(f"{path}: {card.peer!r} is not id@host:port")
    _check_signed(path, card)
    return card


def _check_signed(path: Path, card: Card) -> None:
    try:
        key = PublicKey(card.alg, bytes.fromhex(card.spki))
        key.verify(card.tbs(), bytes.fromhex(card.signature))
    except (LedgerError, ValueError) as error:
        raise ConfigError(
            f"{path}: not a founding card: its signature does not verify; ask for it again"
        ) from error
    _check_legal_id(card.legal_scheme, card.legal_number)


def _check_legal_id(scheme: str, number: str) -> None:
    if not scheme and not number:
        return
    try:
        require_legal_id(scheme, number)
    except Refused as error:
        raise ConfigError(f"legal id {scheme} {number}: {error.text}") from error


def votes_for(founders: int) -> int:
    """Yes votes for admissions unless the founders say otherwise: more than two thirds."""
    return 2 * founders // 3 + 1 if founders > 1 else 1


def genesis_of(cards: Sequence[Card], *, time_ms: int, votes: int) -> Genesis:
    """The one genesis document of these cards; raises ConfigError for cards that do not fit."""
    if not 0 < len(cards) <= FOUNDERS_MAX or len({card.chain_id for card in cards}) != 1:
        raise ConfigError("the cards are none, too many, or not of one chain id")
    if not 0 < votes <= len(cards):
        raise ConfigError(f"{votes} votes are not 1 to the {len(cards)} founders")
    rows = {}
    for card in cards:
        party = GenesisParty(card.party, card.alg, bytes.fromhex(card.spki), ROLE_OPERATOR)
        rows[Validator(bytes.fromhex(card.validator_key), POWER)] = party
    genesis = Genesis(
        chain_id=cards[0].chain_id,
        app_version=APP_VERSION,
        time_ms=time_ms,
        validators=tuple((item, rows[item].party_id) for item in in_set_order(rows)),
        parties=tuple(sorted(rows.values(), key=lambda party: party.party_id)),
        block_bytes_max=BLOCK_BYTES_MAX,
        admission_votes_min=votes,
    )
    try:
        return decode_genesis(genesis.encode())
    except InputError as error:
        raise ConfigError(f"these cards make no chain: {error}") from error


def found(home: Path, cards: Sequence[Card], *, time_ms: int, votes: int) -> Genesis:
    """Writes the genesis document and the peers into a founder's folder; raises ConfigError."""
    if (home / GENESIS_NAME).exists():
        raise ConfigError(f"{home}: holds a chain already")
    own, config = read_node_keys(home), read_config(home)
    if own.validator_key.hex() not in {card.validator_key for card in cards}:
        raise ConfigError(f"{home / CARD_NAME} is not among the cards")
    genesis = genesis_of(cards, time_ms=time_ms, votes=votes)
    peers = [card.peer for card in cards if card.node_id != own.node_id]
    places = Places(
        server=config.server.listen, node=config.comet.listen, external=config.comet.external
    )
    write_config(home, party=config.party.name, places=places, peers=",".join(sorted(peers)))
    # Last: a folder with a genesis document is a whole one.
    write_private(home / GENESIS_NAME, genesis.encode())
    return genesis


def make_localnet(
    folder: Path, count: int, *, chain_id: str, places: Sequence[Places], now: datetime
) -> tuple[Genesis, list[Path]]:
    """A whole network on one machine, each organisation in its own home; raises ConfigError."""
    homes = [folder / f"organisation{number}" for number in range(1, count + 1)]
    cards = [
        make_founder(home, chain_id=chain_id, party=home.name, places=place, now=now)
        for home, place in zip(homes, places, strict=True)
    ]
    time_ms = int(now.timestamp() * 1000)
    founded = [found(home, cards, time_ms=time_ms, votes=votes_for(count)) for home in homes]
    return founded[0], homes
