"""ThingsBoard's gateway from PyPI in an environment of its own, and a stand-in for its server."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from tools.bench.session import BenchError, Session

VERSION: Final = "3.8.5"
LIMITS_ASKED: Final = "v1/devices/me/rpc/request/"
NO_LIMITS: Final = {
    "maxPayloadSize": 65536,
    "maxInflightMessages": 100,
    "rateLimits": {"messages": "0:0,", "telemetryMessages": "0:0,", "telemetryDataPoints": "0:0,"},
}


def installed(session: Session) -> Path:
    """The folder of its environment, made first where it is missing. Raises BenchError."""
    folder = session.cache / f"thingsboard-gateway-{VERSION}"
    if not (folder / "bin" / "thingsboard-gateway").exists():
        session.say(f"  installing thingsboard-gateway {VERSION} into {folder}")
        pip = [str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
        try:
            subprocess.run([sys.executable, "-m", "venv", folder], check=True)
            subprocess.run([*pip, f"thingsboard-gateway=={VERSION}"], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise BenchError(
                f"thingsboard-gateway could not be installed ({error}); with a network, or a pip "
                f"index that has it, run: {folder}/bin/pip install thingsboard-gateway=={VERSION}"
            ) from error
    return folder


class Server:
    """What the gateway takes for ThingsBoard: counts values, and says that there are no limits."""

    def __init__(self, port: int) -> None:
        self.values, self.last_came_s = 0, 0.0
        self._client = Client(CallbackAPIVersion.VERSION2, client_id="server")
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port)
        self._client.subscribe([("v1/gateway/telemetry", 0), (f"{LIMITS_ASKED}+", 0)])
        self._client.loop_start()

    def _on_message(self, client: Client, _data: object, message: MQTTMessage) -> None:
        if message.topic.startswith(LIMITS_ASKED):
            answer = message.topic.replace("/request/", "/response/")
            client.publish(answer, json.dumps(NO_LIMITS))
            return
        self.last_came_s = time.perf_counter()
        document: dict[str, list[dict[str, Any]]] = json.loads(message.payload)
        self.values += sum(
            len(item.get("values", item)) for rows in document.values() for item in rows
        )

    def close(self) -> None:
        """Leaves the broker."""
        self._client.loop_stop()
        self._client.disconnect()


class ThingsBoard:
    """A running ThingsBoard gateway with its SQLite storage."""

    def __init__(self, session: Session, environment: Path, *, inside: int, outside: int) -> None:
        """inside: port of the sensors' broker; outside: of the server's."""
        folder = session.fresh_folder("thingsboard")
        package = next(environment.glob("lib/*/site-packages/thingsboard_gateway"))
        shipped = package / "config"
        main = json.loads((shipped / "tb_gateway.json").read_text(encoding="utf-8"))
        main["thingsboard"] |= {
            "host": "127.0.0.1",
            "port": outside,
            "remoteConfiguration": False,
            "security": {"type": "accessToken", "accessToken": "bench"},
        }
        main["storage"] = {"type": "sqlite", "data_file_path": f"{folder}/data/"}
        main["connectors"] = [{"type": "mqtt", "name": "sensors", "configuration": "mqtt.json"}]
        config = folder / "config"
        shutil.copytree(shipped, config)
        (config / "tb_gateway.json").write_text(json.dumps(main), encoding="utf-8")
        (config / "mqtt.json").write_text(json.dumps(_sensors(inside)), encoding="utf-8")
        self.server = Server(outside)
        with (folder / "log").open("w") as log:
            self.process = session.start(
                [environment / "bin" / "thingsboard-gateway"],
                cwd=folder,
                env={"TB_GW_CONFIG_DIR": str(config)},
                stdout=log,
                stderr=log,
            )


def _sensors(port: int) -> dict[str, Any]:
    """Its MQTT connector: one reading a message, the device named by the topic."""
    device = {
        "deviceNameExpressionSource": "topic",
        "deviceNameExpression": "(?<=zigbee2mqtt/).*",
        "deviceProfileExpressionSource": "constant",
        "deviceProfileExpression": "default",
    }
    value = {"type": "double", "key": "temperature", "value": "${temperature}"}
    converter = {
        "type": "json", "deviceInfo": device, "timeout": 60000, "attributes": [],
        "timeseries": [value],
    }  # fmt: skip  # as its own examples write it
    return {
        "broker": {
            "host": "127.0.0.1",
            "port": port,
            "clientId": "thingsboard",
            "version": 5,
            "maxMessageNumberPerWorker": 10,
            "maxNumberOfWorkers": 100,
            "security": {"type": "anonymous"},
        },
        "mapping": [{"topicFilter": "zigbee2mqtt/+", "subscriptionQos": 1, "converter": converter}],
        "requestsMapping": {},
    }
