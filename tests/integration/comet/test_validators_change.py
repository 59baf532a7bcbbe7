"""The others vote a fifth organisation's validator in and one of the first four out, on real nodes.

What was proven before stays proven, and each proof since leads from genesis over every change.
"""

import pytest

from consortium.app.actions import VALIDATOR_REMOVE
from tests.fakes.anchoring import Gateway
from tests.fakes.comet_network import CometNetwork
from tests.fakes.voting import admitted_later, decide, validator_of

POWER = 10


async def proven_by(network: CometNetwork, gateway: Gateway, who: list[int], *, count: int) -> None:
    """Each gives a proof of the newest anchor under so many validators, verified offline."""
    for at in who:
        for _ in range(50):  # until the header of the changed set carries the newest state
            proven = await gateway.proof(network, at)
            if proven.validator_count == count:
                break
            await gateway.anchor(network, at)
        assert (proven.validator_count, proven.parties_count) == (count, count)


@pytest.mark.timeout(900)
async def test_a_fifth_validator_comes_in_and_one_of_the_first_goes(network: CometNetwork) -> None:
    gateway = Gateway(await network.enrol("change"))
    await gateway.anchor(network, 0)
    await proven_by(network, gateway, [0, 1, 2, 3], count=4)
    newcomer = await admitted_later(network, "organisation5")
    newcomer.start().until_listening()
    await network.until_height(await network[0].height(), who=[4])
    await decide(network, validator_of(network, 4, POWER), voters=[0, 1, 2])
    await gateway.anchor(network, 4)
    await proven_by(network, gateway, [0, 4], count=5)
    gone = validator_of(network, 0, POWER)[1]
    await decide(network, [VALIDATOR_REMOVE, gone], voters=[1, 2, 3])
    await gateway.anchor(network, 1)
    await proven_by(network, gateway, [1, 2, 3, 4], count=4)
    # Whose vote is not asked for any more may go, and one of the four besides.
    network[0].end()
    network[1].kill()
    for _ in range(3):
        await gateway.anchor(network, 4)
    await proven_by(network, gateway, [2, 3, 4], count=4)
    network[1].start().until_listening()
    await network.until_equal(who=[1, 2, 3, 4])
