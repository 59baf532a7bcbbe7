"""A machine's backup that cannot make its validator sign twice, and how to begin again from it.

A backup holds keys and configuration. It never holds what the validator signed last
(`priv_validator_state.json`): that file, older than the truth, is how validators sign twice. It
holds no chain either: a machine that begins again takes every block from the others and checks
them. Until the chain is past the height that the operator names, with a margin, the restored
validator signs nothing, whatever it signed before it was lost.
"""

import io
import json
import tarfile
from pathlib import Path
from typing import Final

from consortium.comet.files import NODE_FOLDER, ROUND_MAX, STEP_PRECOMMIT
from consortium.config import (
    CERTIFICATE_NAME,
    CONFIG_NAME,
    GENESIS_NAME,
    TLS_KEY_NAME,
    read_config,
)
from consortium.errors import ConfigError
from consortium.file_keys import write_private
from consortium.founding import PARTY_KEY_NAME

NODE_CONFIG: Final = f"{NODE_FOLDER}/config"
NEEDED: Final = (
    CONFIG_NAME,
    GENESIS_NAME,
    PARTY_KEY_NAME,
    CERTIFICATE_NAME,
    TLS_KEY_NAME,
    f"{NODE_CONFIG}/node_key.json",
    f"{NODE_CONFIG}/priv_validator_key.json",
)
OPTIONAL: Final = ("reader_key", "founding_card.json")
MEMBER_BYTES_MAX: Final = 1 << 20
# What the lost machine may have signed beyond the height that another one shows now.
MARGIN_BLOCKS: Final = 10


def backup(home: Path, target: Path) -> list[str]:
    """Writes an archive of mode 0600; returns the names in it. Raises ConfigError."""
    if not read_config(home).has_comet:
        raise ConfigError(
            f"{home}: an embedded chain has its blocks nowhere else; stop it and copy the folder"
        )
    names = [*NEEDED, *(name for name in OPTIONAL if (home / name).exists())]
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as archive:
        for name in names:
            try:
                data = (home / name).read_bytes()
            except OSError as error:
                raise ConfigError(f"{home / name}: {error}") from error
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o600
            archive.addfile(member, io.BytesIO(data))
    if target.exists():
        raise ConfigError(f"{target}: is there already; choose another name")
    write_private(target, whole.getvalue())
    return names


def restore(source: Path, home: Path, *, network_height: int) -> int:
    """Makes a folder from a backup; returns the height up to which its validator signs nothing.

    network_height: what `wharf chain status` of another organisation shows now. Raises ConfigError.
    """
    if home.exists() and any(home.iterdir()):
        raise ConfigError(f"{home}: is not empty; a machine is restored into a new folder")
    if network_height < 1:
        raise ConfigError("the height is what another organisation's status shows, at least 1")
    members = _members(source)
    for folder in (home, home / NODE_FOLDER, home / NODE_CONFIG, home / NODE_FOLDER / "data"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
    guard = network_height + MARGIN_BLOCKS
    state = {"height": str(guard), "round": ROUND_MAX, "step": STEP_PRECOMMIT}
    write_private(
        home / NODE_FOLDER / "data" / "priv_validator_state.json", json.dumps(state).encode()
    )
    for name, data in members.items():
        if name != GENESIS_NAME:
            write_private(home / name, data)
    # Last: a folder with a genesis document is a whole one.
    write_private(home / GENESIS_NAME, members[GENESIS_NAME])
    return guard


def _members(source: Path) -> dict[str, bytes]:
    """The files of a backup: exactly those that it may hold, nothing else is unpacked."""
    members: dict[str, bytes] = {}
    try:
        with tarfile.open(source, "r:") as archive:
            for member in archive:
                file = archive.extractfile(member) if member.isreg() else None
                known = member.name in (*NEEDED, *OPTIONAL) and member.name not in members
                if file is None or not known or member.size > MEMBER_BYTES_MAX:
                    raise ConfigError(f"{source}: {member.name!r} does not belong in a backup")
                members[member.name] = file.read()
    except (OSError, tarfile.TarError) as error:
        raise ConfigError(f"{source}: not a backup: {error}") from error
    missing = [name for name in NEEDED if name not in members]
    if missing:
        raise ConfigError(f"{source}: lacks {', '.join(missing)}")
    return members
