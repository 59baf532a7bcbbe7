import asyncio
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from consortium.enrolment import decode_enrolment
from firmware_bridge.keys.registry import create_key, open_signer
from gateway import init
from gateway.config import (
    BrokerConfig,
    PeerConfig,
    SealConfig,
    StatusConfig,
    parse_config,
    read_config,
)
from gateway.errors import ConfigError
from gateway.identity import get_identity
from gateway.init import Wish, config_text, found_devices, initialise
from ledger.entry import feed_id_of
from ledger.store import Store

READERS = ("11" * 32, "22" * 32)


@pytest.fixture(autouse=True)
def _bare_box(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(init, "broker_answers", lambda: False)
    monkeypatch.setattr(init, "_existing", lambda _: [])


def wish(folder: Path, **changes: object) -> Wish:
    made = Wish(
        config_path=folder / "etc" / "gateway.toml",
        name="cold-room",
        party="Cold Store Ltd",
        data_dir=folder / "data",
        key_uri=None,
        development=False,
        address=None,
        certificate=None,
        genesis_sha256=None,
        readers=READERS,
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # any field may be changed


def test_what_init_writes_is_read_as_it_was_meant(tmp_path: Path) -> None:
    asked = wish(
        tmp_path,
        key_uri="pkcs11:token=wharf",
        address="chain:7411",
        certificate=tmp_path / "chain.pem",
        genesis_sha256="ab" * 32,
    )
    config = parse_config(config_text(asked), asked.config_path)
    assert ("cold-room", "Cold Store Ltd", tmp_path / "data", False, "pkcs11:token=wharf") == (
        config.name,
        config.party,
        config.data_dir,
        config.development,
        config.key_uri,
    )
    peer = PeerConfig(
        address="chain:7411", certificate=tmp_path / "chain.pem", genesis_sha256=b"\xab" * 32
    )
    assert (peer,) == config.peers
    assert READERS == tuple(key.hex() for key in config.audiences[0].readers)
    assert (SealConfig(), StatusConfig(), BrokerConfig()) == (
        config.seal,
        config.status,
        config.broker,
    )


def test_the_commented_defaults_are_the_programs_own(tmp_path: Path) -> None:
    asked = wish(tmp_path)
    lines = config_text(asked).splitlines()
    shown = [line[2:] if line.startswith("# ") and " = " in line else line for line in lines]
    inside = shown[shown.index("[seal]") : shown.index("[broker]") + 4]
    text = config_text(asked).partition("[seal]")[0] + "\n".join(inside)
    config = parse_config(text, asked.config_path)
    assert (SealConfig(), StatusConfig(), BrokerConfig()) == (
        config.seal,
        config.status,
        config.broker,
    )


def test_without_a_token_it_says_development(tmp_path: Path) -> None:
    config = parse_config(config_text(wish(tmp_path)), tmp_path / "gateway.toml")
    assert config.development
    assert config.key_uri == f"file:{tmp_path}/data/development-key.pem"


def test_names_with_quotes_and_backslashes_survive(tmp_path: Path) -> None:
    party = 'Käse "Frisch" \\ Söhne'
    config = parse_config(config_text(wish(tmp_path, party=party)), tmp_path / "gateway.toml")
    assert party == config.party


def test_devices_that_are_plugged_in_are_configured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = {
        init.W1_GLOB: ["/sys/bus/w1/devices/28-0a/w1_slave"],
        init.SERIAL_GLOB: ["/dev/serial/by-id/usb-Silicon_CP2102", "/dev/serial/by-id/usb-u-blox"],
    }
    monkeypatch.setattr(init, "_existing", lambda pattern: there[pattern])
    config = parse_config(config_text(wish(tmp_path)), tmp_path / "gateway.toml")
    assert [
        ("probe-1", "ds18b20", "w1:/sys/bus/w1/devices/28-0a/w1_slave"),
        ("serial-1", "r200", "serial:/dev/serial/by-id/usb-Silicon_CP2102"),
        ("serial-2", "nmea", "serial:/dev/serial/by-id/usb-u-blox"),
    ] == [(item.spec.id, item.spec.driver, item.spec.source) for item in config.devices]
    assert 3 == len(found_devices())


def test_init_run_twice_changes_nothing_and_gives_the_same_code(tmp_path: Path) -> None:
    asked = wish(tmp_path)
    first = asyncio.run(initialise(asked))
    files = {path: path.stat().st_mtime_ns for path in (asked.config_path, tmp_path / "data")}
    key = (tmp_path / "data" / "development-key.pem").read_bytes()
    text = asked.config_path.read_text(encoding="utf-8")
    assert first == asyncio.run(initialise(replace(asked, name="another", party="Other")))
    assert text == asked.config_path.read_text(encoding="utf-8")
    assert key == (tmp_path / "data" / "development-key.pem").read_bytes()
    assert files[asked.config_path] == asked.config_path.stat().st_mtime_ns


def test_the_code_says_who_the_gateway_is_and_that_its_key_is_software(tmp_path: Path) -> None:
    asked = wish(tmp_path)
    code = decode_enrolment(asyncio.run(initialise(asked)))
    store = Store(tmp_path / "data" / "store")
    identity = store.read(get_identity)
    store.close()
    assert ("cold-room", "Cold Store Ltd", 0) == (code.gateway_name, code.party_name, code.level)
    assert (identity.feed_id, identity.spki) == (code.feed_id, code.spki)
    assert feed_id_of(code.genesis_leaf[16:]) == code.feed_id


def test_the_data_folder_is_for_its_owner_alone(tmp_path: Path) -> None:
    asyncio.run(initialise(wish(tmp_path)))
    assert 0o700 == stat.S_IMODE((tmp_path / "data").stat().st_mode)


def test_an_interrupted_init_goes_on_with_the_key_that_it_made(tmp_path: Path) -> None:
    asked = wish(tmp_path)
    text = config_text(asked)
    config = parse_config(text, asked.config_path)
    config.data_dir.mkdir()
    asyncio.run(create_key(config.key_uri, alg=-7, development=True))
    code = decode_enrolment(asyncio.run(initialise(asked)))
    signer = asyncio.run(open_signer(config.key_uri, development=True))
    assert signer.public_key_der() == code.spki


def test_a_wish_that_makes_no_configuration_leaves_no_file(tmp_path: Path) -> None:
    asked = wish(tmp_path, key_uri="pkcs11:token=wharf", readers=READERS[:1])
    with pytest.raises(ConfigError, match="two readers"):
        asyncio.run(initialise(asked))
    assert not asked.config_path.exists()
    assert not (tmp_path / "data").exists()


def test_an_operators_own_configuration_is_used_as_it_is(tmp_path: Path) -> None:
    asked = wish(tmp_path)
    asked.config_path.parent.mkdir()
    asked.config_path.write_text(config_text(replace(asked, name="mine")), encoding="utf-8")
    assert "mine" == decode_enrolment(asyncio.run(initialise(asked))).gateway_name
    assert "mine" == read_config(asked.config_path).name
