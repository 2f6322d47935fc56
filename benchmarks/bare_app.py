"""A bare Typer app with as many commands and options as btcts, which does nothing but what is named."""

from typing import Annotated

import typer

app = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode="rich")

Text = Annotated[str | None, typer.Option(help="An option.", rich_help_panel="Common options")]
Flag = Annotated[bool, typer.Option(help="A flag.", rich_help_panel="Common options")]


@app.callback()
def callback(version: Flag = False) -> None:
    """A bare app.

    With a few lines of text.
    """


@app.command(rich_help_panel="Prices")
def collect(
    urls: list[str],
    interval: Text = None,
    jitter: Text = None,
    format: Text = None,
    once: Flag = False,
    redis: Text = None,
    config: Text = None,
) -> None:
    """Import redis and httpx, ping, and fetch the URLs with one client."""
    import httpx
    from redis import Redis

    with Redis.from_url(redis or "", protocol=3, decode_responses=True) as server, httpx.Client() as client:
        server.ping()
        for url in urls:
            client.get(url).json()


@app.command(rich_help_panel="Prices")
def show(
    url: str,
    limit: Text = None,
    at: Text = None,
    max_age: Text = None,
    format: Text = None,
    closed: Flag = False,
    utc: Flag = False,
) -> None:
    """Import redis and rich.table, and ping."""
    import redis
    import rich.table

    with redis.Redis.from_url(url, protocol=3, decode_responses=True) as client:
        client.ping()
    rich.table.Table()


@app.command(rich_help_panel="Prices")
def demo() -> None:
    """Do nothing."""


@app.command("init-keys", rich_help_panel="Store")
def init_keys(dry_run: Flag = False, rebuild: Flag = False, adopt: Flag = False) -> None:
    """Do nothing."""


server = typer.Typer(help="Nothing.")
config = typer.Typer(help="Nothing.")
for name in ("install", "start", "stop", "status", "run"):
    server.command(name)(lambda redis=None: None)
for name in ("show", "init", "path"):
    config.command(name)(lambda redis=None: None)
app.add_typer(server, name="server", rich_help_panel="Store")
app.add_typer(config, name="config", rich_help_panel="Settings")

if __name__ == "__main__":
    app()
