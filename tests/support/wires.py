"""A client whose connections count what they send, and can end the server in the middle of it."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.connection import ConnectionPool, UnixDomainSocketConnection
from redis.retry import Retry


class Wire:
    """The bytes that the connections of one client send.

    `sent` has the size of each parcel, one for each round trip, `commands` counts those in them.
    """

    def __init__(self, socket: Path) -> None:
        self.sent: list[int] = []
        self.commands = 0
        self._left: int | None = None
        self._power_cut: Callable[[], None] | None = None
        wire = self

        class Watched(UnixDomainSocketConnection):
            def send_command(self, *words: Any, **options: Any) -> None:
                wire.commands += 1
                super().send_command(*words, **options)

            def pack_commands(self, commands: Iterable[Any]) -> Any:
                kept = list(commands)
                wire.commands += len(kept)
                return super().pack_commands(kept)

            def send_packed_command(self, command: bytes | Iterable[bytes], check_health: bool = True) -> None:
                data = command if isinstance(command, bytes) else b"".join(command)
                super().send_packed_command(wire.pass_on(data), check_health)
                wire.cut()

        self.client = redis.Redis.from_pool(
            ConnectionPool(
                connection_class=Watched,
                path=str(socket),
                protocol=3,
                decode_responses=True,
                retry=Retry(NoBackoff(), 0),
            )
        )

    def reset(self) -> None:
        """Count anew."""
        self.sent.clear()
        self.commands = 0

    def cut_after(self, size: int, power_cut: Callable[[], None]) -> None:
        """Let `size` more bytes pass, then call `power_cut`."""
        self._left, self._power_cut = size, power_cut

    def pass_on(self, data: bytes) -> list[bytes]:
        """Count a parcel, and return what of it may pass."""
        self.sent.append(len(data))
        if self._left is None:
            return [data]
        passed = data[: self._left]
        self._left -= len(data)
        return [passed] if passed else []

    def cut(self) -> None:
        """Do what is to be done when no more may pass."""
        if self._left is not None and self._left < 0 and self._power_cut:
            power_cut, self._power_cut = self._power_cut, None
            power_cut()
