"""The state of the embedded Redis."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from btcts.embedded import ServerStatus
from btcts.render.server import server_json, server_lines
from render.snapshot import assert_lines_as_stored
from support.schemas import read_schema

RUNNING = ServerStatus(True, False, Path("/data/redis.sock"), Path("/data"), 42, "8.2.1", "8.2.1")
SILENT = RUNNING._replace(running=False, version=None, module_version=None)
AWAY = SILENT._replace(pid=None)

STATES = {"running": RUNNING, "not answering": SILENT, "not running": AWAY, "stopped": AWAY._replace(stopped=True)}


def test_the_state_stands_above_the_socket_and_the_folder() -> None:
    assert_lines_as_stored("lines-server", {name: server_lines(status) for name, status in STATES.items()})


@pytest.mark.parametrize("name", STATES)
def test_the_document_follows_its_schema_and_has_the_address_to_use(name: str) -> None:
    document = json.loads(server_json(STATES[name]))

    Draft202012Validator(read_schema("server-status")).validate(document)
    assert document["url"] == "unix:///data/redis.sock"
    assert (document["running"], document["stopped"]) == (STATES[name].running, STATES[name].stopped)
