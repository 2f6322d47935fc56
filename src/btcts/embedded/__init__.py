"""The embedded Redis: a redis-server of our own, so that nothing has to be installed or configured."""

from btcts.embedded.server import Embedded
from btcts.embedded.status import ServerStatus

__all__ = ["Embedded", "ServerStatus"]
