"""`btcts backfill`."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from btcts.cli.options import Common, DryRunOption, FormatOption, ProviderOption, SinceOption, with_common_options
from btcts.cli.output import LineFormat, complain, emit, open_console, tell, tell_lines
from btcts.cli.times import Moment, hours_ago, parse_moment
from btcts.errors import ConfigError, ExitCode

if TYPE_CHECKING:
    from btcts.services.backfill.plan import Plan, Wish
    from btcts.services.backfill.run import Chunk, Summary
    from btcts.store import Store

MOST_HOURS = 1_000_000
"""More hours than bitcoin will have existed; minutes before the window are only counted anyway."""


@with_common_options
def backfill(
    *,
    hours: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=MOST_HOURS, help="Fill in the last N hours.")
    ] = None,
    since: SinceOption = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="End at this time (default: now).")] = None,
    provider: ProviderOption = None,
    file: Annotated[
        str | None,
        typer.Option(
            metavar="CSV", help="Take one-minute candles from this file, or - for stdin, and ask no provider."
        ),
    ] = None,
    minutes: Annotated[
        bool,
        typer.Option("--minutes", help="Treat each row of the file as one minute, however far apart the rows are."),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace all that is stored of these minutes, to remove a bad price.")
    ] = False,
    dry_run: DryRunOption = False,
    format: FormatOption = LineFormat.text,
    common: Common,
) -> None:
    """Fill in minutes with candles from the providers or from a file.

    Examples:
      btcts backfill
      btcts backfill --since 2h --overwrite
      btcts backfill --file day.csv --dry-run
      btcts backfill --file 2018.csv --until 2018-04-05T12:00Z

    Each part is stored as it arrives: after an interruption, run it again to continue. --dry-run asks no provider.

    A file has the columns timestamp,open,high,low,close and optionally volume; its times are full minutes, in
    UTC unless they have a zone. A few rows on full hours could be hourly or daily candles: say --minutes if
    they are not. A store that has only old prices keeps the day up to the last of them; to see it: btcts show
    hour --at newest.

    -v lists the candles of each provider for minutes that they disagree about. With a single --provider its word
    alone settles those (they are thin) until the others answer.
    """
    if hours is not None and not (since is None and until is None):
        raise ConfigError(f"--hours {hours} cannot be combined with --since and --until; use one or the other")
    if file is not None and provider:
        raise ConfigError(f"--file {file} cannot be combined with --provider {provider[0]}; use one or the other")
    if minutes and file is None:
        raise ConfigError("--minutes describes the rows of a file; name one with --file")
    if overwrite and (hours, since, file) == (None, None, None):
        raise ConfigError("--overwrite replaces what is stored: say for which time, with --hours, --since or --file")
    asked = _Asked(
        since=parse_moment("--since", since) if hours is None else hours_ago(hours),
        until=parse_moment("--until", until),
        overwrite=overwrite,
        minutes=minutes,
        file=file,
        providers=provider or None,
    )
    raise typer.Exit(_settle(asked, format, common, dry_run=dry_run))


class _Asked(NamedTuple):
    """The options that choose minutes, and the candles to settle them from."""

    since: Moment | None
    until: Moment | None
    overwrite: bool
    minutes: bool
    file: str | None
    providers: list[str] | None

    def resolve(self, store: "Store") -> "Wish":
        """Return the options with each time as ms, by the clock of the store."""
        from btcts.services.backfill.plan import Wish

        return Wish(
            since_ms=self.since.resolve(store) if self.since else None,
            until_ms=self.until.resolve(store) if self.until else None,
            overwrite=self.overwrite,
            minutes=self.minutes,
        )


def _settle(asked: _Asked, format: LineFormat, common: Common, *, dry_run: bool) -> ExitCode:
    """Settle from the file or, without one, from the providers."""
    from btcts.connect import open_poller
    from btcts.domain.candle_agreement import Reach
    from btcts.providers import find_reaches
    from btcts.services.backfill.candle_csv import open_source
    from btcts.services.backfill.plan import plan_of_file, plan_of_providers
    from btcts.services.backfill.run import settle_from_file, settle_from_providers

    with ExitStack() as stack:
        source = None if asked.file is None else stack.enter_context(open_source(asked.file, sys.stdin.buffer))
        settings = common.load_settings(collect__providers=asked.providers)
        store = stack.enter_context(common.connect(settings, starts_embedded=not dry_run))
        if source is None:
            poller = stack.enter_context(open_poller(settings, clock=store.clock))
            plan = plan_of_providers(store, poller, asked.resolve(store))
            configured = None
            if asked.providers and not poller.simulated:
                configured = Reach(find_reaches(common.load_settings().collect.providers))
            quorum = settings.collect.quorum
            chunks = settle_from_providers(plan, store, poller, quorum=quorum, configured=configured)
        else:
            plan = plan_of_file(store, source, asked.resolve(store))
            chunks = settle_from_file(plan, store)
        return _print_plan(plan, format) if dry_run else _carry_out(plan, chunks, format, common)


def _print_plan(plan: "Plan", format: LineFormat) -> ExitCode:
    """Print what would be done, and return the exit code."""
    from btcts.render import backfill as render

    if format is LineFormat.json:
        emit(render.plan_json(plan))
    else:
        tell_lines(render.plan_lines(plan))
    return ExitCode.DONE


def _carry_out(plan: "Plan", chunks: Iterator["Chunk"], format: LineFormat, common: Common) -> ExitCode:
    """Settle chunk by chunk, print each and then the summary, and return the exit code."""
    from btcts.services.backfill.run import sum_chunks

    done: list[Chunk] = []
    interrupted = False
    try:
        with _open_display(plan, format, common) as show:
            for chunk in chunks:
                done.append(chunk)
                show(chunk)
    except KeyboardInterrupt:
        interrupted = True
    summary = sum_chunks(plan, done)
    _print_summary(plan, summary, format, common, interrupted=interrupted)
    if interrupted:
        return ExitCode.INTERRUPTED
    return ExitCode.PROVIDERS if summary.in_vain else ExitCode.DONE


@contextmanager
def _open_display(plan: "Plan", format: LineFormat, common: Common) -> Iterator[Callable[["Chunk"], None]]:
    """Yield the function that shows a chunk: as JSON, not at all, in a progress bar on a terminal, else as a line."""
    from btcts.render import backfill as render

    if format is LineFormat.json:
        yield lambda chunk: emit(render.chunk_json(chunk, plan.market))
    elif common.quiet:
        yield lambda chunk: None
    else:
        tell_lines(render.head_lines(plan))
        can_redraw = sys.stdout.isatty() and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        if common.verbose:
            yield lambda chunk: tell_lines([render.chunk_line(chunk), *render.dispute_lines(chunk, plan.market)])
        elif not can_redraw:
            yield lambda chunk: tell(render.chunk_line(chunk))
        else:
            with render.show_progress(plan, open_console(stderr=True, no_color=common.no_color)) as move:
                yield move


def _print_summary(plan: "Plan", summary: "Summary", format: LineFormat, common: Common, *, interrupted: bool) -> None:
    """Print the summary; that of a failure on stderr."""
    from btcts.render import backfill as render

    if format is LineFormat.json:
        emit(render.summary_json(plan, summary, interrupted=interrupted))
        return
    failure = interrupted or summary.in_vain
    if failure or not common.quiet:
        for line in render.summary_lines(plan, summary, interrupted=interrupted):
            (complain if failure else tell)(line)
