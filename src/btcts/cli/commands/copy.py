"""`btcts copy`."""

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from btcts.cli.options import Common, DryRunOption, FormatOption, with_common_options
from btcts.cli.output import LineFormat, emit, tell_lines
from btcts.errors import ConfigError, ExitCode, StoreUnreachable

if TYPE_CHECKING:
    from btcts.config import Settings
    from btcts.domain.layout import Market

EMBEDDED, STDIN = "embedded", "-"
"""The words for the embedded Redis, and for a URL on stdin, in place of a URL."""


@with_common_options
def copy(
    *,
    to: Annotated[
        str,
        typer.Option(
            "--to", metavar="URL", help="The other Redis, the word embedded, or - to read the URL from stdin."
        ),
    ],
    market_prefix: Annotated[
        str | None,
        typer.Option("--market-prefix", metavar="PREFIX", help="Begin the keys of the copy with this prefix."),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace other prices that the target holds.")] = False,
    dry_run: DryRunOption = False,
    format: FormatOption = LineFormat.text,
    common: Common,
) -> None:
    """Copy ticks, buckets, gaps and state to another Redis, and compare both.

    Examples:
      btcts copy --to redis://192.0.2.7:6379/0 --dry-run
      btcts copy --to redis://192.0.2.7:6379/0
      btcts copy --redis redis://192.0.2.7:6379/0 --to embedded --replace

    The copy is of one moment and appears all at once: an interrupted run has changed nothing or everything. A
    second run changes nothing. Stop the collectors of the other Redis first; those of this one may keep running.
    In a cluster the prefix becomes a hash tag. Other commands find only keys with the usual prefix. Exits with 1
    when the two differ.
    """
    from btcts.render.copy import copy_json, copy_lines
    from btcts.services import copy as service

    settings = common.load_settings()
    target_settings = _load_target(to, market_prefix, settings, common)
    with common.connect(settings) as source, common.connect(target_settings, starts_embedded=not dry_run) as target:
        try:
            copied = service.copy(source, target, replace=replace, dry_run=dry_run)
        except StoreUnreachable as exc:
            if target.where not in str(exc):
                raise
            raise StoreUnreachable(str(exc).replace("--redis", "--to")) from exc
    if format is LineFormat.json:
        emit(copy_json(copied, settings.market))
    elif copied.differing or not common.quiet:
        tell_lines(copy_lines(copied, verbose=common.verbose))
    raise typer.Exit(ExitCode.FAILURE if copied.differing else ExitCode.DONE)


def _load_target(to: str, prefix: str | None, settings: "Settings", common: Common) -> "Settings":
    """Return the settings of the target; the variables of the source's address, REDIS_*, say nothing about it."""
    from btcts.config import BTC_USD, RedisSettings, load
    from btcts.providers import default_endpoints

    if to == EMBEDDED:
        common.find_embedded(starts=True)
        found = settings._replace(redis=RedisSettings(), market=BTC_USD)
    else:
        url = sys.stdin.readline().strip() if to == STDIN else to
        environ = {name: text for name, text in os.environ.items() if not name.startswith("REDIS_")}
        try:
            found = load({"redis.url": url}, endpoints=default_endpoints(), environ=environ, config_path=common.config)
        except ConfigError as exc:
            raise ConfigError(str(exc).replace("flag --redis", "flag --to")) from exc
    return found if prefix is None else found._replace(market=_name_market(found, prefix))


def _name_market(settings: "Settings", prefix: str) -> "Market":
    """Return the market with another prefix, which is a hash tag in a cluster."""
    from btcts.config.values import CLUSTER

    if not prefix.isprintable() or " " in prefix or not prefix.strip(":") or prefix.endswith(":"):
        raise ConfigError(f"--market-prefix {prefix!r} cannot begin a key; use letters, digits and colons inside")
    market = settings.market._replace(prefix=prefix)
    return market.with_hash_tag() if settings.redis.kind == CLUSTER else market
