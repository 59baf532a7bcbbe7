"""A broker in Python for machines where mosquitto may not be installed. For the demo only."""

import asyncio
import sys
from typing import Any

from amqtt.broker import Broker


async def serve(port: int) -> None:
    """Serves until the process is ended."""
    config: dict[str, Any] = {
        "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    }
    broker = Broker(config)
    await broker.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
