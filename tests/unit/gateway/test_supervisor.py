import asyncio
from itertools import pairwise

import pytest

from firmware_bridge.devices import DeviceSpec
from firmware_bridge.errors import SpecError, TransportError
from gateway.supervisor import RETRY_S_MAX, RETRY_S_MIN, Supervisor
from tests.fakes.gateway_parts import spec
from tests.fakes.virtual_time import now_s, virtual_time


class Device:
    """Plays one step at each run; stays until cancelled when there are no more."""

    def __init__(self, *steps: Exception | float | None) -> None:
        self.steps, self.started_at_s = list(steps), list[float]()
        self.lost: list[str] = []
        self.stays = asyncio.Event()
        self.supervisor = Supervisor(self.run, self.note_loss)

    async def run(self, described: DeviceSpec) -> None:
        self.started_at_s.append(now_s())
        if not self.steps:
            self.stays.set()
            await asyncio.Event().wait()
        match self.steps.pop(0):
            case Exception() as error:
                raise error
            case float() as seconds:
                await asyncio.sleep(seconds)
                raise TransportError("unplugged after a while")

    async def note_loss(self, device_id: str) -> None:
        self.lost.append(device_id)

    @property
    def waits_s(self) -> list[float]:
        times = self.started_at_s
        return [later - earlier for earlier, later in pairwise(times)]


async def until_it_stays(device: Device) -> None:
    keeping = asyncio.create_task(device.supervisor.keep(spec()))
    await device.stays.wait()
    keeping.cancel()


@virtual_time
async def test_a_lost_port_is_opened_again_and_what_was_missed_is_noted() -> None:
    device = Device(TransportError("gone"))
    await until_it_stays(device)
    state = device.supervisor.states["probe"]
    assert (["probe"], 1, "gone") == (device.lost, state.restarts, state.fault)


@virtual_time
async def test_the_waits_double_up_to_a_bound_and_are_spread() -> None:
    device = Device(*[TransportError("gone") for _ in range(12)])
    await until_it_stays(device)
    full = [min(RETRY_S_MIN * 2**number, RETRY_S_MAX) for number in range(12)]
    for wait_s, most_s in zip(device.waits_s, full, strict=True):
        assert most_s / 2 <= wait_s <= most_s
    assert 12 == device.supervisor.states["probe"].restarts


@virtual_time
async def test_a_device_that_ran_long_enough_begins_with_short_waits_again() -> None:
    ran_s = RETRY_S_MAX + 1
    device = Device(*[TransportError("gone") for _ in range(9)], ran_s)
    await until_it_stays(device)
    assert device.waits_s[-1] - ran_s <= RETRY_S_MIN


@virtual_time
async def test_a_wrong_description_is_said_once_and_not_tried_again() -> None:
    device = Device(SpecError("source", "no such scheme"))
    await device.supervisor.keep(spec())
    state = device.supervisor.states["probe"]
    assert ("source: no such scheme", False, 1) == (
        state.fault,
        state.running,
        len(device.started_at_s),
    )
    assert [] == device.lost


@virtual_time
async def test_a_replay_that_ends_has_ended_well() -> None:
    device = Device(None)
    await device.supervisor.keep(spec())
    state = device.supervisor.states["probe"]
    assert (None, True, False) == (state.fault, state.ended, state.running)


@virtual_time
async def test_an_error_that_nobody_foresaw_is_not_swallowed() -> None:
    with pytest.raises(ZeroDivisionError):
        await Device(ZeroDivisionError()).supervisor.keep(spec())
