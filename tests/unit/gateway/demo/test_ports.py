import socket
import subprocess
import sys

from gateway.demo import ports

ASK = (
    "from gateway.demo import ports; import sys; ports._claim(int(sys.argv[1])) and print('given')"
)


def asked_elsewhere(port: int) -> str:
    asked = subprocess.run(
        [sys.executable, "-c", ASK, str(port)], capture_output=True, text=True, check=True
    )
    return asked.stdout.strip()


def test_a_port_that_was_given_is_given_to_no_other_program() -> None:
    port = ports.free_port()
    assert not asked_elsewhere(port)
    assert port != ports.free_port()


def test_a_port_is_given_again_once_its_program_has_ended() -> None:
    first = subprocess.run(
        [sys.executable, "-c", "from gateway.demo.ports import free_port; print(free_port())"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "given" == asked_elsewhere(int(first.stdout))


def test_a_port_that_somebody_listens_on_is_not_given() -> None:
    with socket.socket() as taken:
        port = ports.free_port()
        taken.bind(("127.0.0.1", port))
        taken.listen()
        ports._claims.pop(port)
        assert not ports._claim(port)


def test_ports_in_a_row_follow_each_other_below_the_range_of_outgoing_connections() -> None:
    row = ports.free_ports(3)
    assert [row[0], row[0] + 1, row[0] + 2] == row
    assert row[-1] < 32_000
