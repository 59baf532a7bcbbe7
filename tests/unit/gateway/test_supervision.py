"""Words to systemd over the socket that it names."""

import socket
from pathlib import Path

import pytest

from gateway.supervision import SOCKET_VARIABLE, WATCHDOG_VARIABLE, notify, watchdog_interval_s


def test_words_reach_the_socket_that_the_supervisor_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(path))
        monkeypatch.setenv(SOCKET_VARIABLE, str(path))
        assert notify("READY=1")
        assert listener.recv(64) == b"READY=1"


def test_without_a_supervisor_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SOCKET_VARIABLE, raising=False)
    assert not notify("READY=1")


@pytest.mark.parametrize(
    ("text", "interval_s"), [("60000000", 30.0), ("0", None), ("", None), ("x", None)]
)
def test_life_is_told_twice_within_the_time_that_is_waited(
    text: str, interval_s: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(WATCHDOG_VARIABLE, text)
    assert watchdog_interval_s() == interval_s
