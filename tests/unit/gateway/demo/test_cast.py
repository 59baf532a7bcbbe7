from pathlib import Path

import pytest

from firmware_bridge.bridge import check_spec
from firmware_bridge.simulators.spec import parse_fleet
from gateway.config import parse_config
from gateway.demo.cast import actors, channels, fleet, gateway_toml

FOLDER = Path("/run/demo")
READERS = ("11" * 32, "22" * 32)


@pytest.mark.parametrize("broker_keeps", [True, False])
def test_each_actors_configuration_is_one_that_the_gateway_takes(broker_keeps: bool) -> None:
    for actor in actors(FOLDER):
        text = gateway_toml(
            actor,
            data_dir=FOLDER / actor.name,
            key_uri="pkcs11:token=demo",
            development=False,
            broker_port=1884,
            broker_keeps=broker_keeps,
            node=("127.0.0.1:7411", FOLDER / "chain.pem", "ab" * 32),
            reader=READERS[0],
            recovery=READERS[1],
        )
        config = parse_config(text, FOLDER / "gateway.toml")
        assert (actor.name, 1884, broker_keeps) == (
            config.name,
            config.broker.port,
            config.broker.persistent,
        )
        assert [device["id"] for device in actor.devices] == [d.spec.id for d in config.devices]
        for device in config.devices:
            check_spec(device.spec)


def test_every_channel_that_is_accounted_for_belongs_to_a_device_that_plays() -> None:
    playing = {(a.name, d["id"]) for a in actors(FOLDER) for d in a.devices}
    simulated = {device["id"] for device in fleet(FOLDER, 1884)["devices"]}
    assert simulated == {device.id for device in parse_fleet(fleet(FOLDER, 1884)).devices}
    named = {(channel.actor, channel.device) for channel in channels(broker_keeps=True)}
    assert named <= playing
    assert {device for _, device in playing} == simulated


def test_a_brokers_word_is_a_promise_only_where_it_keeps_what_it_took() -> None:
    assert any(channel.acknowledged for channel in channels(broker_keeps=True))
    assert not any(channel.acknowledged for channel in channels(broker_keeps=False))
