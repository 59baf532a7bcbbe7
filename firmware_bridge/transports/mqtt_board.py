"""A board of retained messages at the broker: each topic holds the newest word on it.

The broker may come and go; with each connection the whole board is put up again, and each word is
published with QoS 1 until the broker has taken it. An empty word takes a topic down.
"""

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import aiomqtt

from firmware_bridge.transports.mqtt import BrokerAddress

RETRY_S_MIN: Final = 0.5
RETRY_S_MAX: Final = 30.0
PUBLISH_S: Final = 10.0
_logger = logging.getLogger(__name__)


class MqttBoard:
    """Keeps topics at the broker as they were put last."""

    def __init__(self, address: BrokerAddress) -> None:
        self._address = address
        self._words: dict[str, bytes] = {}
        self._due: set[str] = set()
        self._changed = asyncio.Event()
        self.is_connected = False

    def put(self, words: Mapping[str, bytes]) -> None:
        """Sets words by topic; those that are as they were are left alone."""
        for topic, word in words.items():
            if self._words.get(topic) != word:
                self._words[topic] = word
                self._due.add(topic)
        self._changed.set()

    async def run(self) -> None:
        """Publishes until cancelled."""
        delay_s = RETRY_S_MIN
        while True:
            try:
                async with self._client() as client:
                    delay_s, self.is_connected = RETRY_S_MIN, True
                    self._due.update(self._words)
                    await self._publish(client)
            except (aiomqtt.MqttError, OSError, TimeoutError) as error:
                _logger.warning("board_away retry_s=%.1f error=%s", delay_s, error)
            finally:
                self.is_connected = False
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, RETRY_S_MAX)

    async def _publish(self, client: aiomqtt.Client) -> None:
        while True:
            self._changed.clear()
            for topic in sorted(self._due):
                word = self._words[topic]
                await client.publish(topic, word, qos=1, retain=True, timeout=PUBLISH_S)
                if self._words[topic] == word:
                    self._due.discard(topic)
            if not self._due:
                await self._wait(client)

    async def _wait(self, client: aiomqtt.Client) -> None:
        """Returns at a change; raises MqttError where the broker has gone meanwhile."""
        changed = asyncio.create_task(self._changed.wait())
        listening = asyncio.create_task(_until_lost(client))
        try:
            await asyncio.wait((changed, listening), return_when=asyncio.FIRST_COMPLETED)
            if listening.done():
                listening.result()
        finally:
            for task in (changed, listening):
                task.cancel()
            await asyncio.gather(changed, listening, return_exceptions=True)

    def _client(self) -> aiomqtt.Client:
        address, secret = self._address, self._address.password_file
        tls = None if address.ca_file is None else aiomqtt.TLSParameters(ca_certs=address.ca_file)
        return aiomqtt.Client(
            address.host,
            address.port,
            username=address.username,
            password=None if secret is None else Path(secret).read_text(encoding="utf-8").strip(),
            identifier=address.client_id,
            tls_params=tls,
            timeout=PUBLISH_S,
        )


async def _until_lost(client: aiomqtt.Client) -> None:
    """Listens to nothing: that ends with MqttError when the connection does."""
    async for _ in client.messages:
        pass
