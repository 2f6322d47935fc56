"""`btcts serve`."""

from pathlib import Path
from typing import Annotated

import typer

from btcts.cli.options import Common, MaxAgeOption, with_common_options
from btcts.cli.output import show_log
from btcts.cli.signals import stop_on_signals
from btcts.cli.startup import collect_garbage_again
from btcts.domain.clock import Stop
from btcts.errors import ConfigError

SHORTEST_TOKEN = 16


@with_common_options
def serve(
    *,
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where to listen (default: 127.0.0.1:8080).", show_default=False)
    ] = "127.0.0.1:8080",
    token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Admit only readers with the token in this file; needed unless --listen is on loopback.",
        ),
    ] = None,
    host: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A name by which readers reach this server; repeatable.")
    ] = None,
    cors: Annotated[
        list[str] | None,
        typer.Option(metavar="ORIGIN", help="Let web pages of this origin read the answers; repeatable."),
    ] = None,
    max_age: MaxAgeOption = None,
    common: Common,
) -> None:
    """Serve a page with the price, JSON for programs and metrics for Prometheus over HTTP.

    Examples:
      btcts serve
      btcts serve --listen 127.0.0.1:9000
      btcts serve --listen 0.0.0.0:8080 --token-file token.txt --host pi.local

    Paths: / (a page), /events, /api/price, /api/show, /api/show/RESOLUTION, /api/status, /health, /metrics. Redis is
    read once a second, however many readers there are. Needs the packages of btcts[serve].
    """
    try:
        from btcts.web import app, board, gate, server
    except ModuleNotFoundError as exc:
        package = (exc.name or "").partition(".")[0]
        raise ConfigError(f"serve needs a further package ({package}); run pip install 'btcts[serve]'") from exc
    from btcts.connect import find_spool_folders
    from btcts.services.collect.spool import Spool, count_held
    from btcts.services.show import show_overview
    from btcts.services.status import status

    settings, token = common.load_settings(), None if token_file is None else _read_token(token_file)
    stop = Stop()
    show_log()
    with common.connect(settings) as store, server.listen(listen) as listener, stop_on_signals(stop):
        if token is None and not server.is_loopback(listener):
            raise ConfigError(f"--listen {listen} is reached by other machines; give a --token-file")
        pinned = board.Board(store.clock)
        hosts = frozenset(map(str.lower, (*(host or ()), gate.parse_host(listen))))
        guarded = gate.Gate(app.make_router(pinned, settings.market), hosts, token, frozenset(cors or ()))
        spool = Spool(*find_spool_folders(settings))
        collect_garbage_again()
        common.say(f"serving {settings.market.name} of {store.where} at {server.format_address(listener)}")
        server.serve(
            guarded,
            pinned,
            listener,
            keep_looking=lambda post: board.keep_looking(
                store,
                lambda: show_overview(store, max_age_s=max_age),
                lambda: status(store, max_age_s=max_age, spooled=count_held(spool)),
                post,
            ),
            stop=stop,
        )


def _read_token(path: Path) -> str:
    """Return the token in the file.

    Raises:
        ConfigError: there is none, or one that is easily guessed.
    """
    from btcts.system.causes import describe
    from btcts.system.foreign import conceal
    from btcts.system.textfile import read_secret

    try:
        token = read_secret(path.expanduser()).strip()
    except (OSError, UnicodeError) as exc:
        raise ConfigError(f"--token-file {path} cannot be read ({describe(exc)}); name another file") from exc
    if len(token) < SHORTEST_TOKEN or not (token.isascii() and token.isprintable() and " " not in token):
        raise ConfigError(
            f"--token-file {path} has no token of {SHORTEST_TOKEN} or more letters and digits; "
            f"openssl rand -hex 16 makes one"
        )
    conceal(token)
    return token
