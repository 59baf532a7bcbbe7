"""A truck without an uplink meets a warehouse: the warehouse's gateway takes its feed and passes it
on, and can read none of it.
"""

from __future__ import annotations

from firmware_bridge.codecs.probe import encode_w1_slave
from gateway.demo.ports import free_port
from tests.fakes.yard import Device, GatewayBox, Yard, run_wharf, until


def code_of(box: GatewayBox, party: str) -> str:
    """The enrolment code that init prints again and again."""
    printed = run_wharf(
        "gateway", "init", "--config", str(box.config), "--name", box.name, "--party", party,
        environment=box.environment,
    )  # fmt: skip  # a command line
    return printed.strip()


def write_more(box: GatewayBox, text: str) -> None:
    box.config.write_text(box.config.read_text(encoding="utf-8") + text, encoding="utf-8")


def test_a_neighbour_carries_what_it_cannot_read(fresh_yard: Yard) -> None:
    probe = fresh_yard.folder / "w1_slave"
    probe.write_text(encode_w1_slave(64), encoding="ascii")
    devices = [Device("probe-1", "ds18b20", f"w1:{probe}", 1)]
    warehouse = fresh_yard.add_gateway("warehouse", [])
    warehouse.stop()
    truck = fresh_yard.add_gateway("truck", devices)
    truck.stop()
    port = free_port()
    write_more(
        warehouse,
        f'[relay]\nlisten = "127.0.0.1:{port}"\n'
        f'[[neighbour]]\ncode = "{code_of(truck, "Cold Store Ltd")}"\n',
    )
    certificate = warehouse.data_dir / "peer_certificate.pem"
    nowhere = truck.config.read_text(encoding="utf-8").replace(
        f'"127.0.0.1:{truck.machine.port}"', f'"127.0.0.1:{free_port()}"'
    )
    truck.config.write_text(nowhere, encoding="utf-8")
    write_more(
        truck,
        f'[[neighbour]]\ncode = "{code_of(warehouse, "Cold Store Ltd")}"\n'
        f'address = "127.0.0.1:{port}"\ncertificate = "{certificate}"\n',
    )
    before = len(truck.machine.readings("probe-1"))
    warehouse.start()
    truck.start()
    signed = truck.until(lambda r: r["signed_height"] >= 2, "blocks on the truck")
    assert not signed["connected"]
    until(
        lambda: len(truck.machine.readings("probe-1")) >= before + 3,
        "the truck's readings at the machine that may read them",
        limit_s=90,
    )
    assert warehouse.status()["faults"] == []
