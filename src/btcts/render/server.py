"""The status of the embedded Redis: lines for people, or JSON as `docs/schemas/server-status.json` says."""

from btcts.embedded import ServerStatus
from btcts.render.documents import SCHEMA, dump_document


def server_lines(status: ServerStatus) -> list[str]:
    """Describe the state of the server, its socket and its data directory, one per line."""
    return [f"state:  {_describe_state(status)}", f"socket: {status.socket}", f"data:   {status.data_dir}"]


def server_json(status: ServerStatus) -> str:
    """Encode the status as one object on one line."""
    document = {
        "schema": SCHEMA,
        "running": status.running,
        "stopped": status.stopped,
        "socket": str(status.socket),
        "url": f"unix://{status.socket}",
        "data_dir": str(status.data_dir),
        "pid": status.pid,
        "version": status.version,
        "timeseries": status.module_version,
    }
    return dump_document(document)


def _describe_state(status: ServerStatus) -> str:
    state = "running" if status.running else "not running"
    if status.pid and not status.running:
        state = f"not answering (pid {status.pid})"
    if status.running and status.version:
        state += f" (pid {status.pid}, Redis {status.version}, TimeSeries {status.module_version})"
    if status.stopped:
        state += ", stopped until `btcts server start`"
    return state
