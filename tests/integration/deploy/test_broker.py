"""The broker that the installer sets up: Debian's mosquitto with Debian's own file and ours."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.raspberrypi.installer import broker
from gateway.demo.ports import free_port
from tests.fakes.bare_machine import BareMachine

SHIPPED = Path(__file__).parents[3] / "deploy" / "raspberrypi" / "mosquitto.conf"
# What Debian's package brings, as it stands in Debian 12.
DEBIAN = """\
pid_file {folder}/mosquitto.pid
persistence true
persistence_location {folder}/
log_dest file {folder}/mosquitto.log
include_dir {folder}/conf.d
"""
# Started by root it would become a user that cannot enter a test's folder.
STAY = "user root\n"


@pytest.fixture
def account(tmp_path: Path) -> BareMachine:
    machine = BareMachine(tmp_path / "root")
    broker.make_account(machine)
    return machine


@pytest.fixture
def port(tmp_path: Path, account: BareMachine) -> Iterator[int]:
    """Run Debian's configuration with ours dropped in; only places and the port are changed."""
    program = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    assert program is not None, "mosquitto is missing: apt-get install mosquitto"
    number, folder = free_port(), tmp_path / "broker"
    (folder / "conf.d").mkdir(parents=True)
    accounts = folder / "wharf.passwd"
    shutil.copy(account.at(broker.ACCOUNTS_PATH), accounts)
    text = SHIPPED.read_text().replace("listener 1883", f"listener {number} 127.0.0.1")
    (folder / "conf.d" / "wharf.conf").write_text(text.replace(broker.ACCOUNTS_PATH, str(accounts)))
    (folder / "mosquitto.conf").write_text(DEBIAN.format(folder=folder) + STAY)
    process = subprocess.Popen(
        [program, "-c", str(folder / "mosquitto.conf")], stderr=subprocess.PIPE, text=True
    )
    try:
        await_port(process, number)
        yield number
    finally:
        process.terminate()
        process.communicate(timeout=10)


def await_port(process: subprocess.Popen[str], port: int) -> None:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        if process.poll() is not None:
            raise AssertionError(process.communicate()[1])
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
    raise AssertionError("mosquitto does not listen")


def connect(port: int, user: str, password: str) -> int:
    """Return the broker's answer to a CONNECT of MQTT 3.1.1: 0 lets in, 5 refuses."""
    name, secret = user.encode(), password.encode()
    fields = b"".join(len(part).to_bytes(2, "big") + part for part in (b"test", name, secret))
    body = b"\x00\x04MQTT\x04\xc2\x00\x3c" + fields
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        line.sendall(b"\x10" + bytes([len(body)]) + body)
        return line.recv(4)[3]


def test_the_gateway_gets_in_with_its_password_and_nobody_else(
    port: int, account: BareMachine
) -> None:
    password = account.at(broker.PASSWORD_PATH).read_text().strip()
    assert connect(port, broker.USER, password) == 0
    assert connect(port, broker.USER, password + "x") == 5
    assert connect(port, "stranger", password) == 5


def test_the_account_line_is_what_mosquitto_passwd_writes() -> None:
    # mosquitto_passwd 2.0.11 -b FILE a b, its salt taken from the line that it wrote.
    known = (
        "a:$7$101$r0ILig3hxrUsUPn6$4+5mwOHDddAfAFWeZCFYvCp47QEajfpCPRXc7a3vbSgp8ACjicu9x0tfzhi9MxA"
        "xLqYeL4nqZSpLfpG5yxEO2w=="
    )
    assert broker.is_account_of(known, "a", "b")
    assert not broker.is_account_of(known, "a", "c")
    assert not broker.is_account_of(known, "b", "b")


def test_accounts_of_sensors_outlive_the_making_of_ours(account: BareMachine) -> None:
    accounts = account.at(broker.ACCOUNTS_PATH)
    accounts.write_text("fridge:$7$101$AAAA$BBBB\n")
    assert not broker.has_account(account)
    broker.make_account(account)
    assert broker.has_account(account)
    assert accounts.read_text().startswith("fridge:$7$101$AAAA$BBBB\ngateway:$7$")
