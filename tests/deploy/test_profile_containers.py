"""The page, its monitoring and secrets in files on a real engine: `pytest -m deploy -n 0`."""

import json
import time
from typing import Any

import httpx
import pytest

from deploy.deployment import BUILD_WITHIN_S, PROFILE, WITHIN_S, WRITTEN, Deployment

pytestmark = pytest.mark.deploy

FILES = {
    "REDIS_PASSWORD_FILE": "redis_password",
    "REDIS_READER_PASSWORD_FILE": "reader_password",
    "API_KEY_FILE": "api_key",
}
USERS = {"page": "10001", "prometheus": "65534", "grafana": "472"}


@pytest.fixture(scope="module")
def watched(clone: Deployment) -> Deployment:
    """The deployment with its page and its monitoring, after `up --wait` said that all is healthy."""
    clone.make_secret("page_token")
    clone.set_password(WRITTEN)
    done = clone.compose(*PROFILE, "up", "--build", "--wait", within_s=BUILD_WITHIN_S)
    assert done.code == 0, done.err + clone.compose(*PROFILE, "logs").out[-4000:]
    return clone


def read_token(deployment: Deployment) -> str:
    """Return what the page asks for."""
    return (deployment.folder / "secrets/page_token").read_text().strip()


def ask_prometheus(deployment: Deployment, path: str, **parameters: str) -> Any:
    """Return the data of an answer."""
    url = f"http://{deployment.address('prometheus', 9090)}/api/v1/{path}"
    return httpx.get(url, params=parameters).raise_for_status().json()["data"]


def test_the_page_is_for_whoever_has_the_token(watched: Deployment) -> None:
    url = f"http://{watched.address('page', 8080)}"

    without = httpx.get(f"{url}/api/price")
    answered = httpx.get(f"{url}/api/price", headers={"Authorization": f"Bearer {read_token(watched)}"})

    assert without.status_code == 401
    assert answered.json()["price"] > 0


def test_the_page_cannot_write_to_redis(watched: Deployment) -> None:
    done = watched.execute("page", "btcts", "init-keys", "--rebuild")

    assert done.code == 3
    assert "extend its ACL" in done.err


def test_the_password_alone_administers_nothing(watched: Deployment) -> None:
    port = str(watched.port)
    done = watched.execute("redis", "start-redis", "redis-cli", "-e", "-p", port, "CONFIG", "SET", "save", "")

    assert done.code != 0
    assert "NOPERM" in done.out + done.err


@pytest.mark.parametrize(("service", "uid"), USERS.items())
def test_a_container_is_nobody_and_its_root_is_read_only(watched: Deployment, service: str, uid: str) -> None:
    status = dict(line.split(":", 1) for line in watched.execute(service, "cat", "/proc/1/status").out.splitlines())
    written = watched.execute(service, "sh", "-c", "touch /file")

    assert status["Uid"].split() == [uid] * 4
    assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert "Read-only file system" in written.err


def test_prometheus_has_the_alerts_and_reads_the_page(watched: Deployment) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not (found := ask_prometheus(watched, "query", query="btcts_price_usd")["result"]):
        assert time.monotonic() < deadline, ask_prometheus(watched, "targets")
        time.sleep(0.5)  # a real Prometheus scrapes in real time

    (group,) = ask_prometheus(watched, "rules")["groups"]
    assert float(found[0]["value"][1]) > 0
    assert {rule["health"] for rule in group["rules"]} <= {"ok", "unknown"}
    firing = [alert for alert in ask_prometheus(watched, "alerts")["alerts"] if alert["state"] == "firing"]
    assert firing == []


def test_secrets_may_lie_in_files_and_then_show_nowhere(watched: Deployment) -> None:
    secrets = [*map(watched.make_secret, FILES.values()), read_token(watched)]
    watched.set_password("", *(f"{variable}=secrets/{name}" for variable, name in FILES.items()))

    done = watched.compose(*PROFILE, "up", "--wait")

    told = [watched.inspect(service, "json .") for service in ("redis", "price_tracker", *USERS)]
    processes = watched.compose(*PROFILE, "top").out
    assert done.code == 0, done.err + watched.compose(*PROFILE, "logs").out[-4000:]
    assert [secret for secret in secrets if secret in processes + "".join(told)] == []
    assert "redis-server" in processes
    assert json.loads(told[0])["State"]["Health"]["Status"] == "healthy"
    assert watched.execute("page", "btcts", "price").code == 0
    assert "environment API_KEY_FILE" in watched.execute("price_tracker", "btcts", "config", "show").out


def test_a_secret_that_is_missing_starts_nothing(watched: Deployment) -> None:
    watched.set_password("", "REDIS_PASSWORD_FILE=secrets/absent")

    done = watched.compose("up", "--wait")

    assert done.code != 0
    assert "bind source path does not exist" in done.err
