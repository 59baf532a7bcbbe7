"""Four organisations, four real nodes: what kills, lies and restarts may and may not do.

The tests of this file share one network, because starting it takes longer than most of them; each
leaves it whole.
"""

import asyncio
import time

import pytest

from consortium.errors import ConsortiumError
from tests.fakes.anchoring import Gateway
from tests.fakes.comet_network import CometNetwork

ALL = (0, 1, 2, 3)


async def verified_at_all(network: CometNetwork, gateway: Gateway) -> None:
    """Every organisation gives a proof of the newest anchor, and each verifies offline."""
    for at in ALL:
        proven = await gateway.proof(network, at)
        assert (proven.validator_count, proven.parties_count) == (4, 4)


async def test_an_anchor_is_proven_by_more_than_two_thirds_at_every_organisation(
    network: CometNetwork,
) -> None:
    gateway = Gateway(await network.enrol("proven"))
    for at in ALL:
        await gateway.anchor(network, at)
    await network.until_equal(who=ALL)
    await verified_at_all(network, gateway)


async def test_an_anchor_after_a_silence_is_dated_when_it_was_made(network: CometNetwork) -> None:
    gateway = Gateway(await network.enrol("silent"))
    await asyncio.sleep(4)
    before_ms = time.time_ns() // 1_000_000
    await gateway.anchor(network, 1)
    time_ms = (await gateway.proof(network, 1)).leaves[0].time_ms
    assert before_ms - 2_500 < time_ms <= time.time_ns() // 1_000_000


@pytest.mark.parametrize("parts", [("node",), ("application",), ("node", "application")])
async def test_one_validator_is_killed_and_the_others_go_on(
    network: CometNetwork, parts: tuple[str, ...]
) -> None:
    gateway = Gateway(await network.enrol(f"one {parts}"))
    await gateway.anchor(network, 0)
    network[3].kill(*parts)
    for _ in range(5):
        await gateway.anchor(network, 0)
    await network.until_height(
        await network[0].height(), who=ALL
    )  # its supervisor has brought the pair back
    await network.until_equal(who=ALL)


async def test_two_validators_gone_halt_the_chain_and_one_back_resumes_it(
    network: CometNetwork,
) -> None:
    gateway = Gateway(await network.enrol("two"))
    await gateway.anchor(network, 0)
    network[2].kill()
    network[3].kill()
    with pytest.raises(ConsortiumError):
        await gateway.anchor(network, 0, timeout_s=2)
    network[2].start()
    await gateway.anchor(network, 0)
    network[3].start()
    for at in (2, 3):
        network[at].until_listening()
    await network.until_equal(who=ALL)
    await verified_at_all(network, gateway)


async def test_all_eight_processes_killed_at_once_come_back_to_one_state(
    network: CometNetwork,
) -> None:
    gateways = [Gateway(await network.enrol(f"eight {n}")) for n in range(4)]

    async def load(gateway: Gateway, at: int) -> None:
        while True:
            await gateway.anchor(network, at)

    work = [asyncio.create_task(load(gateway, at)) for at, gateway in enumerate(gateways)]
    deadline_s = time.monotonic() + 60
    while not all(gateway.anchored > 0 for gateway in gateways):
        assert time.monotonic() < deadline_s, "not every gateway had a head anchored in a minute"
        await asyncio.sleep(0.1)
    for organisation in network.organisations:
        organisation.kill()
    for task in work:
        task.cancel()
    await asyncio.gather(*work, return_exceptions=True)
    network.start()
    await network.until_equal(who=ALL)
    for at, gateway in enumerate(gateways):
        assert set(range(gateway.anchored + 1)) <= await gateway.anchored_at(network, at)
    await gateways[0].anchor(network, 0)
    await verified_at_all(network, gateways[0])
