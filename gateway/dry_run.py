"""Tries out what a configuration names, without touching what runs: brokers and ports."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gateway.config import GatewayConfig

CONNECT_S: Final = 3.0
_FILE_SCHEMES: Final = ("serial:", "w1:", "replay:")


async def missing(now: GatewayConfig, wished: GatewayConfig) -> list[str]:
    """What the wished configuration names and this box does not find; what runs now is not asked
    for again, or a cable that is out at this moment would refuse every change.
    """
    found = list(_missing_files(now, wished))
    broker = (wished.broker.host, wished.broker.port)
    speaks_mqtt = any(device.spec.source.startswith("mqtt:") for device in wished.devices)
    if speaks_mqtt and broker != (now.broker.host, now.broker.port) and not await _answers(*broker):
        found.append(f"broker {broker[0]}:{broker[1]}: nothing answers")
    return found


def _missing_files(now: GatewayConfig, wished: GatewayConfig) -> Iterator[str]:
    known = {device.spec.source for device in now.devices}
    for device in wished.devices:
        source = device.spec.source
        scheme = next((word for word in _FILE_SCHEMES if source.startswith(word)), None)
        if scheme is None or source in known:
            continue
        path = Path(source.removeprefix(scheme).partition("?")[0])
        if not path.exists():
            yield f"device {device.spec.id!r}: {path} is not there"


async def _answers(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(CONNECT_S):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
