"""A deployment on a real engine, built once for all modules."""

import socket
from collections.abc import Iterator

import pytest

from deploy.deployment import WRITTEN, Deployment, explain_no_engine


def find_free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A deployment whose images are built and that nobody has started."""
    if reason := explain_no_engine():
        pytest.skip(reason)
    port = find_free_port()
    deployment = Deployment(tmp_path_factory.mktemp("clone"), f"btcts-test-{port}", port)
    deployment.clone()
    deployment.set_password(WRITTEN)
    try:
        deployment.build()
        yield deployment
    finally:
        deployment.remove()


@pytest.fixture(scope="module")
def running(clone: Deployment) -> Deployment:
    """The deployment after `up --wait` said that all is healthy."""
    clone.set_password(WRITTEN)
    done = clone.compose("up", "--wait")
    assert done.code == 0, done.err + clone.compose("logs").out[-4000:]
    return clone
