"""A bare Typer app with the commands, options and texts of btcts, which does nothing but what is named.

`status` and `show` import redis and rich.table and ping the server of --redis; `collect` imports redis and httpx, pings
and fetches the URLs in the variable URLS by one client; with CLIENT=httpcore it does so without httpx, with
the same certificates. The app loads no pydantic, either: that would flatter btcts.
"""

from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, get_args, get_origin

from typer.main import get_command

from btcts.cli.main import app

HEAD = """
import os
from pathlib import Path
from typing import Annotated, Literal

import typer
from typer.core import TyperArgument, TyperOption


class Raw:
    coerce = staticmethod(lambda value, param, ctx: value)


TyperOption.get_runtime_param = TyperArgument.get_runtime_param = lambda self: Raw
app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)


def show(redis):
    import rich.table
    from redis import Redis

    with Redis.from_url(redis, protocol=3, decode_responses=True) as server:
        server.ping()
    rich.table.Table()


def open_httpcore():
    import json
    import ssl

    import certifi
    import httpcore

    class Client(httpcore.ConnectionPool):
        def get(self, url):
            self.json = lambda: json.loads(answer.content)
            answer = self.request("GET", url)
            return self

    return Client(ssl_context=ssl.create_default_context(cafile=certifi.where()))


def open_client():
    if os.environ.get("CLIENT") == "httpcore":
        return open_httpcore()
    import httpx

    return httpx.Client()


def collect(redis):
    from redis import Redis

    with Redis.from_url(redis, protocol=3, decode_responses=True) as server, open_client() as client:
        server.ping()
        for url in os.environ["URLS"].split():
            client.get(url).json()


@app.callback()
def callback(version: Annotated[bool, typer.Option("--version")] = False) -> None:
    {help!r}
"""

BODIES = {"show": "show(redis)", "status": "show(redis)", "collect": "collect(redis)"}


def write_bare_app(folder: Path) -> None:
    """Write the module `bare_app` into the folder."""
    root = get_command(app)
    text = HEAD.format(help=root.help) + "\n".join(_write_commands(root.commands, "app"))
    (folder / "bare_app.py").write_text(text)


def _write_commands(commands: Any, group: str) -> Iterator[str]:
    for name, command in commands.items():
        panel = command.rich_help_panel if isinstance(command.rich_help_panel, str) else None
        if hasattr(command, "commands"):
            yield f"{name} = typer.Typer(help={command.help!r})"
            yield from _write_commands(command.commands, name)
            yield f"app.add_typer({name}, name={name!r}, rich_help_panel={panel!r})"
            continue
        function = f"{group}_{name}".replace("-", "_")
        params = ", ".join(_write_param(param) for param in command.params)
        body = BODIES.get(name, "pass") if group == "app" else "pass"
        yield f"@{group}.command({name!r}, rich_help_panel={panel!r})\ndef {function}({params}):"
        yield f"    {command.help!r}\n    {body}\n"


def _write_param(param: Any) -> str:
    what = {"help": param.help, "metavar": param.metavar, "rich_help_panel": param.rich_help_panel}
    what |= {"min": param.min, "max": param.max, "show_default": bool(param.show_default)}
    given = [f"{name}={value!r}" for name, value in what.items() if value is not None]
    kind = param.param_type_name.capitalize()
    if kind == "Option":
        given.insert(0, repr("/".join(["/".join(param.opts[:1]), *param.secondary_opts])))
        given[1:1] = [repr(spelling) for spelling in param.opts[1:]]
    default = param.default.value if isinstance(param.default, Enum) else param.default
    wanted = _write_type(param.type_descriptor.annotation)
    return f"{param.name}: Annotated[{wanted}, typer.{kind}({', '.join(given)})] = {default!r}"


def _write_type(annotation: Any) -> str:
    if get_origin(annotation) is list:
        return f"list[{_write_type(*get_args(annotation))}]"
    if issubclass(annotation, Enum):
        return f"Literal[{', '.join(repr(member.value) for member in annotation)}]"
    return str(annotation.__name__)
