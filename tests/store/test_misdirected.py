"""Messages where a URL leads to something else than a Redis that btcts can use: what it is, and what to write."""

import ssl
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import chain, repeat
from pathlib import Path
from socket import create_connection, create_server

import pytest
import redis

from btcts.errors import StoreError, StoreUnreachable
from btcts.store import Store
from btcts.store.connections import CONNECT_TIMEOUT_S
from btcts.store.explain import TCP, TLS, explain
from store.conftest import Open
from support.redis_binaries import binaries
from support.servers import StartServer, free_port
from support.wording import Wording

wording = Wording(__file__)

SECRET = "correct horse"


@pytest.fixture
def start_on_port(start_server: StartServer) -> Callable[..., int]:
    """Start a redis-server on a port of loopback."""

    def start(*options: str) -> int:
        port = free_port()
        start_server("--port", str(port), "--bind", "127.0.0.1", *options)
        return port

    return start


def said_of(store: Store, use: Callable[[Store], object] = Store.snapshot) -> str:
    """The one line about the failure; nobody who answers is to be started."""
    with pytest.raises(StoreError) as caught:
        use(store)
    said = str(caught.value)
    assert said.isprintable()
    assert "start it" not in said
    assert SECRET not in said
    return said


# Servers of another kind


@pytest.fixture
def cluster_node(start_on_port: Callable[..., int]) -> int:
    """A node of a cluster that has no slots yet."""
    return start_on_port("--cluster-enabled", "yes", "--cluster-port", str(free_port()))


def wait_for_slots(node: redis.Redis) -> None:
    """Wait until the node has taken its slots."""
    while b"cluster_state:ok" not in node.execute_command("CLUSTER", "INFO"):
        pass


CLUSTER = " is a node of a Redis Cluster; write redis+cluster:// instead of redis://, rediss+cluster:// with TLS"


def test_a_node_of_a_cluster_that_is_down(cluster_node: int, open_url: Open) -> None:
    assert said_of(open_url(f"redis://127.0.0.1:{cluster_node}")).endswith(f"127.0.0.1:{cluster_node}{CLUSTER}")


def test_a_node_that_has_other_slots(cluster_node: int, open_url: Open) -> None:
    with redis.Redis(port=cluster_node) as node:
        node.execute_command("CONFIG", "SET", "cluster-require-full-coverage", "no")
        taken = node.execute_command("CLUSTER", "KEYSLOT", "btc:price:tick")
        node.execute_command("CLUSTER", "ADDSLOTSRANGE", *((0, taken - 1) if taken else (1, 16_383)))
        wait_for_slots(node)

    assert said_of(open_url(f"redis://127.0.0.1:{cluster_node}"), Store.latest).endswith(CLUSTER)


def test_a_node_that_has_all_slots_keeps_no_keys_together(cluster_node: int, open_url: Open) -> None:
    with redis.Redis(port=cluster_node) as node:
        node.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16_383)
        wait_for_slots(node)

    assert said_of(open_url(f"redis://127.0.0.1:{cluster_node}"), Store.rebuild).endswith(CLUSTER)


def test_a_database_that_a_cluster_has_not(cluster_node: int, open_url: Open) -> None:
    assert said_of(open_url(f"redis://127.0.0.1:{cluster_node}/3")).endswith(CLUSTER)


@pytest.fixture
def sentinel() -> Iterator[int]:
    """A Sentinel that watches over nothing."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="btcts-") as folder:
        Path(folder, "sentinel.conf").write_text(f"port {port}\nbind 127.0.0.1\n")
        command = [str(binaries().server), "sentinel.conf", "--sentinel"]
        with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            assert any("Sentinel ID is" in line for line in process.stdout)
            yield port
            process.kill()


@pytest.mark.parametrize("use", [Store.snapshot, Store.latest, Store.inspect, Store.rebuild, Store.state])
def test_a_sentinel(sentinel: int, open_url: Open, use: Callable[[Store], object]) -> None:
    store = open_url(f"redis://127.0.0.1:{sentinel}")

    wording.check("a Sentinel", said_of(store, use), port=sentinel)


def test_a_server_whose_clients_are_too_many(start_on_port: Callable[..., int], open_url: Open) -> None:
    port = start_on_port("--maxclients", "1")
    with create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"PING\r\n")
        assert client.recv(7) == b"+PONG\r\n"

        said = said_of(open_url(f"redis://127.0.0.1:{port}"))

    wording.check("too many clients", said, port=port)


def test_a_database_beyond_the_last(start_on_port: Callable[..., int], open_url: Open) -> None:
    port = start_on_port()

    wording.check("a database beyond the last", said_of(open_url(f"redis://127.0.0.1:{port}/99")), port=port)


@pytest.mark.parametrize("login", ["", f":{SECRET}@".replace(" ", "%20"), f"bob:{SECRET}@".replace(" ", "%20")])
def test_a_login_that_is_missing_or_wrong(start_on_port: Callable[..., int], open_url: Open, login: str) -> None:
    port = start_on_port("--requirepass", "battery staple")

    wording.check("a refused login", said_of(open_url(f"redis://{login}127.0.0.1:{port}")), port=port)


# What cannot be made of a real server


class Canned:
    """Says `greeting` to who connects, `reply` to what it is sent first, and `later` from then on; None for silence."""

    def __init__(self, reply: bytes | None, greeting: bytes = b"", later: bytes | None = None) -> None:
        self._replies = chain([reply], repeat(later or reply))
        self._greeting = greeting
        self._listener = create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()

    def _serve(self) -> None:
        kept = []
        while True:
            try:
                connection = self._listener.accept()[0]
            except OSError:
                return
            kept.append(connection)
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: ssl.socket) -> None:
        with connection:
            try:
                connection.sendall(self._greeting)
                while connection.recv(65_536):
                    reply = next(self._replies)
                    if reply is not None:
                        connection.sendall(reply)
            except OSError:
                return


@pytest.fixture
def can() -> Iterator[Callable[..., int]]:
    """Start a server with canned replies; its port."""
    with ExitStack() as stack:

        def start(reply: bytes | None, greeting: bytes = b"", later: bytes | None = None) -> int:
            canned = Canned(reply, greeting, later)
            stack.callback(canned.close)
            return canned.port

        yield start


REPLIES = {
    "protected mode": b"-DENIED Redis is running in protected mode because protected mode is enabled\r\n",
    "loading": b"-LOADING Redis is loading the dataset in memory\r\n",
    "busy": b"-BUSY Redis is busy running a script.\r\n",
    "moved": b"-MOVED 14993 127.0.0.1:17402\r\n",
    "asking": b"-ASK 14993 127.0.0.1:17402\r\n",
    "disk": b"-MISCONF Errors writing to the AOF file: No space left on device\r\n",
    "memory": b"-OOM command not allowed when used memory > 'maxmemory'.\r\n",
    "replica": b"-READONLY You can't write against a read only replica.\r\n",
    "rights": b"-NOPERM User bob has no permissions to run the 'hello' command\r\n",
    "old": f"-ERR unknown command `HELLO`, with args beginning with: `3` `AUTH` `default` `{SECRET}`\r\n".encode(),
    "a web server": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    "words of harm": b"-ERR \x1b[31mall is well\xe2\x80\xae\r\n",
    "a password": f"-ERR no such \\u0063orrect%20hors\\u0065 as CORRECT HORSE or {SECRET}\r\n".encode(),
}


@pytest.mark.parametrize("name", REPLIES)
def test_what_a_server_replies(can: Callable[..., int], open_url: Open, name: str) -> None:
    port = can(REPLIES[name])

    said = said_of(open_url(f"redis://127.0.0.1:{port}", REDIS_PASSWORD=SECRET))

    wording.check(f"reply: {name}", said, port=port)


@pytest.mark.parametrize(
    "reply", [b"-MOVED", b"-MOVED 1 h:1 x", b"-ASK", b"+OK", b":1", b"*0", b"%1\r\n*1\r\n:1\r\n:1"], ids=repr
)
def test_replies_that_no_redis_gives(can: Callable[..., int], open_url: Open, reply: bytes) -> None:
    said = said_of(open_url(f"redis://127.0.0.1:{can(reply + bytes([13, 10]))}"))

    assert said.partition(" at ")[0] == "what answers"


def test_a_server_that_knows_no_command_and_answers_nonsense_when_asked_what_it_is(
    can: Callable[..., int], open_url: Open
) -> None:
    port = can(REPLIES["old"], later=b"%1\r\n*1\r\n:1\r\n:1\r\n")

    assert said_of(open_url(f"redis://127.0.0.1:{port}"))


def test_a_server_of_another_protocol_that_speaks_first(can: Callable[..., int], open_url: Open) -> None:
    said = said_of(open_url(f"redis://127.0.0.1:{can(None, b'SSH-2.0-OpenSSH_9.2' + bytes([13, 10]))}"))

    assert said.partition(" at ")[0] == "what answers"


@pytest.mark.parametrize(
    ("transport", "failure"),
    [
        (TCP, "Timeout reading from socket"),
        (TLS, "Timeout connecting to server"),
        (TCP, "Timeout connecting to server"),
    ],
)
def test_who_says_nothing(transport: str, failure: str) -> None:
    said = explain(redis.TimeoutError(failure), "redis.example:6379", transport=transport)

    assert type(said) is StoreUnreachable
    wording.check(f"{failure} ({transport})", str(said))


def test_a_reader_waits_for_less_than_ten_seconds(open_url: Open, can: Callable[..., int]) -> None:
    store = open_url(f"redis://127.0.0.1:{can(None)}", writes=False)

    answers_s = store._link.client.get_connection_kwargs()["socket_timeout"]

    assert CONNECT_TIMEOUT_S + answers_s < 8


def test_a_socket_that_is_for_others() -> None:
    failure = redis.ConnectionError("Error 13 connecting to /run/redis.sock. Permission denied.")

    wording.check("a socket of others", str(explain(failure, "unix socket /run/redis.sock")))


def test_tls_to_who_answers_without_it(can: Callable[..., int], open_url: Open) -> None:
    port = can(b"-ERR unknown command\r\n")

    wording.check("no TLS", said_of(open_url(f"rediss://127.0.0.1:{port}")), port=port)
