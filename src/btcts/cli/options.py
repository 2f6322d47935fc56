"""The options that commands share, each declared once, and what follows from them: settings, messages, the console."""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from btcts.cli.output import LineFormat, complain, show_log
from btcts.errors import ConfigError

if TYPE_CHECKING:
    from btcts.config import Settings
    from btcts.embedded import Embedded
    from btcts.store import Store

PANEL, OUTPUT = "Common options", "Output"


def suggest_providers(incomplete: str) -> list[str]:
    """List the providers whose names begin like this."""
    from btcts.providers import NAMES

    return [name for name in NAMES if name.startswith(incomplete)]


ProviderOption = Annotated[
    list[str] | None,
    typer.Option(
        "--provider",
        metavar="NAME",
        help="Ask only this provider; repeat the option to name several.",
        autocompletion=suggest_providers,
    ),
]

SinceOption = Annotated[
    str | None,
    typer.Option(
        "--since", metavar="TIME", help="Start at this time: ISO 8601 (local unless it has a zone), 2h (ago) or newest."
    ),
]

MaxAgeOption = Annotated[
    float | None,
    typer.Option(
        "--max-age",
        metavar="S",
        min=1,
        max=86_400,
        help="Seconds after which a price is stale (default: 3 cycles of the collector, at least 150).",
    ),
]

IntervalOption = Annotated[
    float | None,
    typer.Option("--interval", metavar="S", min=0.2, max=3600, help="Seconds between looks at the price (default: 1)."),
]
"""For the commands that look again and again; that of `collect` is a setting, which has its own bounds."""

INTERVAL_S = 1.0
"""The default of `IntervalOption`, which is None where it is not given."""

ReplicaOption = Annotated[
    bool, typer.Option("--replica", help="Read from a replica, and print how far it may be behind its primary.")
]

DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only print what would be done.")]

FORMAT: Any = typer.Option(
    "--format", show_default=False, help="The output format; the first is the default.", rich_help_panel=OUTPUT
)
FormatOption = Annotated[LineFormat, FORMAT]

UtcOption = Annotated[
    bool, typer.Option("--utc", help="Print times in UTC instead of local time.", rich_help_panel=OUTPUT)
]

SvgOption = Annotated[
    str | None,
    typer.Option(
        "--svg", metavar="FILE", help="Write a picture to this file, or - for stdout.", rich_help_panel=OUTPUT
    ),
]


class Common(NamedTuple):
    """The shared options of one call."""

    redis: Annotated[
        str | None,
        typer.Option(
            "--redis",
            metavar="URL",
            help="The Redis to use: redis://, rediss://, unix://, redis+sentinel://, redis+cluster://.",
            rich_help_panel=PANEL,
        ),
    ] = None
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="PATH",
            help="Read this settings file and no other.",
            readable=False,
            rich_help_panel=PANEL,
        ),
    ] = None
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Print more details.", rich_help_panel=PANEL)] = False
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only failures.", rich_help_panel=PANEL)] = False
    no_color: Annotated[bool, typer.Option("--no-color", help="Print without colour.", rich_help_panel=PANEL)] = False

    def load_settings(self, **flags: object) -> "Settings":
        """Load the settings in force; `flags` are the command's own, by dotted name with __ for the dot."""
        from btcts.config import load
        from btcts.providers import default_endpoints

        named = {name.replace("__", "."): value for name, value in flags.items()}
        return load({"redis.url": self.redis, **named}, endpoints=default_endpoints(), config_path=self.config)

    def connect(self, settings: "Settings", *, starts_embedded: bool = False) -> "Store":
        """Return the store that the settings choose; only a command that may write starts the embedded Redis."""
        from btcts.connect import connect
        from btcts.domain.clock import ServerClock

        return connect(settings, clock=ServerClock(), starts_embedded=starts_embedded, say=self.say)

    def find_embedded(self, *, starts: bool) -> "Embedded":
        """Return the embedded Redis of the settings; with `starts` the command would fetch or start one.

        Raises:
            ConfigError: it would, and the settings forbid it.
        """
        from btcts.config import load
        from btcts.embedded import Embedded
        from btcts.providers import default_endpoints

        settings = load(endpoints=default_endpoints(), config_path=self.config, needs_redis=False)
        if starts and not settings.embedded.enabled:
            origin = settings.origins["embedded.enabled"]
            raise ConfigError(f"the embedded Redis is forbidden ({origin}); BTCTS_EMBEDDED=1 allows it")
        return Embedded(settings.embedded.data_dir, redis_server=settings.embedded.redis_server)

    def say(self, line: str) -> None:
        """Print a line for people on stderr, unless --quiet forbids it."""
        if not self.quiet:
            complain(line)

    def say_lag(self, settings: "Settings", store: "Store") -> None:
        """Print how far the replica is behind that the settings ask for."""
        if settings.redis.replica and not self.quiet:
            from btcts.render.sentences import describe_lag

            complain(f"reading a replica: {describe_lag(store.facts().lag)}")


def with_common_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the shared options, behind its own, and hand them to it as `common`.

    They belong to the commands and not to `btcts` itself: people write them behind the command.
    """
    signature = inspect.signature(command)

    @functools.wraps(command)
    def wrapped(**arguments: Any) -> None:
        shared = Common(**{name: arguments.pop(name) for name in Common._fields})
        if shared.quiet and shared.verbose:
            raise ConfigError("--quiet and --verbose contradict each other; use one or the other")
        if shared.verbose:
            show_log()
        command(common=shared, **arguments)

    own = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for name, parameter in signature.parameters.items()
        if name != "common"
    ]
    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=Common._field_defaults[name], annotation=option)
        for name, option in Common.__annotations__.items()
    ]
    wrapped.__signature__ = signature.replace(parameters=[*own, *shared])  # type: ignore[attr-defined]
    wrapped.__annotations__ = {parameter.name: parameter.annotation for parameter in (*own, *shared)}
    return wrapped
