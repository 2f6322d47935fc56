"""Messages to systemd, on a real socket."""

import socket
from contextlib import suppress
from pathlib import Path

import pytest

from btcts.system.supervisor import find_watchdog_s, notify


@pytest.mark.parametrize("abstract", [False, True])
def test_fields_arrive_in_one_datagram(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, abstract: bool) -> None:
    name = f"{'@' if abstract else ''}{tmp_path}/notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name.replace("@", "\0"))
        monkeypatch.setenv("NOTIFY_SOCKET", name)

        notify(READY="1", STATUS="61,234.56 - fine")

        assert manager.recv(1000).decode() == "READY=1\nSTATUS=61,234.56 - fine"


@pytest.mark.parametrize("address", ["", "/nowhere/notify", "@nobody", "x" * 200])
def test_nobody_who_listens_is_no_error(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)

    notify(READY="1")


def test_a_manager_that_does_not_read_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, kind = f"{tmp_path}/notify", (socket.AF_UNIX, socket.SOCK_DGRAM)
    with socket.socket(*kind) as manager, socket.socket(*kind) as other:
        manager.bind(place)
        monkeypatch.setenv("NOTIFY_SOCKET", place)
        manager.setblocking(False)
        other.setblocking(False)
        other.connect(place)
        with suppress(OSError):
            while True:  # until the queue is full
                other.send(b"STATUS=other")

        notify(STATUS="ours")

        told = set()
        with suppress(BlockingIOError):
            while True:
                told.add(manager.recv(1000))
        assert told == {b"STATUS=other"}


@pytest.mark.parametrize(("limit", "seconds"), [("600000000", 600), ("", None), ("soon", None), ("²", None)])
def test_the_watchdog_tells_its_patience(monkeypatch: pytest.MonkeyPatch, limit: str, seconds: float | None) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", limit)

    assert find_watchdog_s() == seconds
