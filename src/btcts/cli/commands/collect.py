"""`btcts collect`."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from btcts.cli.options import Common, FormatOption, ProviderOption, with_common_options
from btcts.cli.output import LineFormat, complain, emit, print_if_possible, tell
from btcts.cli.signals import stop_on_signals
from btcts.cli.startup import collect_garbage_again
from btcts.domain.clock import Stop
from btcts.errors import ConfigError, ExitCode, StoreError

if TYPE_CHECKING:
    from btcts.config import Settings
    from btcts.domain.layout import Market
    from btcts.providers.poller import Poller
    from btcts.services.collect.collector import Collector
    from btcts.services.collect.cycle import Cycle

METRICS_S = 2.0
"""The longest that Redis may take for the metrics of a single run."""


@with_common_options
def collect(
    *,
    once: Annotated[
        bool | None,
        typer.Option("--once/--forever", help="Run one cycle, or cycles aligned to the clock until SIGINT or SIGTERM."),
    ] = None,
    interval: Annotated[
        float | None, typer.Option(metavar="S", help="Seconds between cycles of --forever (default: 10).")
    ] = None,
    jitter: Annotated[
        float, typer.Option(metavar="S", min=0, max=45, help="Delay --once by a random time of up to S seconds.")
    ] = 0,
    provider: ProviderOption = None,
    streams: Annotated[
        bool | None,
        typer.Option("--streams/--no-streams", help="Receive trades as they happen, with --forever (default: yes)."),
    ] = None,
    textfile: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Write metrics to this file after each cycle, for node_exporter."),
    ] = None,
    format: FormatOption = LineFormat.text,
    common: Common,
) -> None:
    """Fetch the price, store it, and fill in what was missed.

    Examples:
      btcts collect --once
      btcts collect --once --provider kraken --provider coinbase
      btcts collect --forever --interval 5
      btcts collect --forever --textfile /var/lib/node_exporter/btcts.prom
      * * * * * btcts collect --once --jitter 10      (in a crontab)

    The first cycle fetches the candles of the last 24 hours, later ones those of the minutes since the last run. A
    price that cannot reach Redis waits on the disk. Without a terminal, --once prints nothing unless something
    failed. It exits with 0 (stored), 3 (no Redis) or 4 (no price).
    """
    if once is None:
        raise ConfigError("collect does one cycle or many: say --once or --forever")
    if once and interval is not None:
        raise ConfigError(f"--interval {interval:g} goes with --forever; --once does a single cycle")
    if not once and jitter:
        raise ConfigError(f"--jitter {jitter:g} goes with --once; --forever already starts at a random offset")
    if once and streams is not None:
        raise ConfigError(f"--{'' if streams else 'no-'}streams goes with --forever; --once only asks for prices")
    if textfile is not None and not _can_be_file(textfile):
        raise ConfigError(f"--textfile {textfile} cannot be a file; name one in a folder that exists")
    settings = common.load_settings(
        collect__interval_s=interval, collect__providers=provider or None, collect__streams=streams
    )
    metrics = Metrics(textfile and Path(os.path.realpath(textfile)), settings.market)  # a link stays what it is
    if once:
        raise typer.Exit(_run_once(settings, common, format, jitter, metrics))
    raise typer.Exit(_run_forever(settings, common, format, metrics))


def _can_be_file(path: Path) -> bool:
    """Tell whether there is a file or can be one: to replace a device or a pipe would take it away from its users."""
    from btcts.system import durable

    try:
        return path.is_file() if durable.exists(path) else path.parent.is_dir()
    except OSError:  # its name is too long, or its folder is closed to us
        return False


class Metrics(NamedTuple):
    """The file for metrics, if any is wanted."""

    path: Path | None
    market: "Market"

    def write(self, collector: "Collector") -> None:
        """Replace the file by the metrics of the present; without Redis they say that it does not answer."""
        if self.path is None:
            return
        from btcts import __version__
        from btcts.render.metrics import metrics_text
        from btcts.services.collect.spool import count_held
        from btcts.services.status import status
        from btcts.system import durable
        from btcts.system.causes import describe

        collector.deadline.set(time.monotonic() + METRICS_S)
        try:
            known = status(collector.store, spooled=count_held(collector.spool) if collector.spool else None)
        except StoreError:
            known = None
        try:
            text = metrics_text(known, self.market, version=__version__)
            durable.replace(self.path, text.encode(), mode=0o644)  # node_exporter is another user
        except OSError as exc:
            complain(f"--textfile {self.path} cannot be written ({describe(exc)})")

    def remove(self) -> None:
        """Remove the file, whose price would not grow stale without a collector."""
        if self.path is not None:
            with suppress(OSError):
                self.path.unlink()


def _run_once(settings: "Settings", common: Common, format: LineFormat, jitter: float, metrics: Metrics) -> ExitCode:
    from btcts.services.collect.loop import once

    stop = Stop()
    stop.wait(_draw_number(jitter))
    with _open_collector(settings, common, stop, cadence_s=None) as collector:
        cycle = once(collector)
        metrics.write(collector)
    wrong = bool(cycle.problem)
    if format is LineFormat.json or wrong or common.verbose or (sys.stdout.isatty() and not common.quiet):
        text = _format_cycle(cycle, settings.market, format, verbose=common.verbose)
        emit(text) if format is LineFormat.json else tell(text, err=wrong)
    return _choose_exit_code(cycle)


def _choose_exit_code(cycle: "Cycle") -> ExitCode:
    """Choose the exit code by the live price: stored or nobody due; agreed on but not stored; not even agreed on."""
    if cycle.stored or cycle.idle:
        return ExitCode.DONE
    nobody_asked = cycle.waiting and not cycle.refused
    return ExitCode.STORE if cycle.members or nobody_asked else ExitCode.PROVIDERS


def _run_forever(settings: "Settings", common: Common, format: LineFormat, metrics: Metrics) -> ExitCode:
    from btcts.render.collect import cycle_line  # noqa: F401 - importing it later could fail when the machine runs short of memory or files
    from btcts.services.collect.loop import forever
    from btcts.system.supervisor import notify

    stop = Stop()
    interval_s = settings.collect.interval_s
    with _open_collector(settings, common, stop, cadence_s=interval_s) as collector, stop_on_signals(stop):
        collect_garbage_again()
        phase_s = _draw_number(interval_s)
        for cycle in forever(collector, interval_s=interval_s, phase_s=phase_s, stopped=stop.is_set):
            if cycle.problem or not common.quiet:
                with suppress(MemoryError):
                    text = _format_cycle(cycle, settings.market, format, verbose=common.verbose)
                    print_if_possible(text, as_json=format is LineFormat.json)
            with suppress(MemoryError):
                metrics.write(collector)
            with suppress(MemoryError):
                notify(**_describe_for_supervisor(cycle, settings.market, interval_s))
        notify(STOPPING="1")
    metrics.remove()
    return ExitCode.DONE


def _describe_for_supervisor(cycle: "Cycle", market: "Market", interval_s: float) -> dict[str, str]:
    """Describe the cycle to systemd, whose watchdog is fed by prices that are kept; it waits for three cycles or more.

    A process that keeps nothing looks the same whether the network or the process is broken: a restart mends the
    second, and costs nothing in the first.
    """
    from btcts.render.collect import cycle_line
    from btcts.system.foreign import mask_logins
    from btcts.system.supervisor import find_watchdog_s

    told = {"READY": "1", "STATUS": mask_logins(cycle_line(cycle, market, utc=True))}
    watchdog_s = find_watchdog_s()
    if watchdog_s is not None and watchdog_s < 3 * interval_s:
        told["WATCHDOG_USEC"] = str(round(3e6 * interval_s))
    return told | ({"WATCHDOG": "1"} if cycle.fruitful else {})


def _draw_number(limit: float) -> float:
    """Draw a random number from 0 to `limit`."""
    import random  # no other command needs it

    return random.uniform(0, limit)


@contextmanager
def _open_collector(
    settings: "Settings", common: Common, stop: Stop, *, cadence_s: float | None
) -> Iterator["Collector"]:
    """Open the store and the providers that the settings name, and yield a collector on them."""
    from btcts.connect import connect, find_spool_folders, locate_memory_file, open_poller, open_streams
    from btcts.domain.clock import ServerClock
    from btcts.services.collect.collector import Collector
    from btcts.services.collect.memory import Memory
    from btcts.services.collect.spool import Spool
    from btcts.system.sockets import Deadline

    clock = ServerClock(stop)
    deadline = Deadline() if cadence_s is None else None
    with (
        connect(settings, clock=clock, starts_embedded=True, say=common.say, deadline=deadline) as store,
        open_poller(settings, clock=clock) as poller,
        nullcontext() if cadence_s is None else open_streams(settings, clock=clock) as streams,
    ):
        if cadence_s is not None or common.verbose or sys.stderr.isatty():  # cron mails every line
            _warn_of_quorum(settings.collect.quorum, poller, common)
        yield Collector(
            store,
            poller,
            cadence_s=cadence_s,
            quorum=settings.collect.quorum,
            salt=round(_draw_number(2**32)),
            spool=Spool(*find_spool_folders(settings)),
            memory=Memory(locate_memory_file(settings), now_ms=clock.now_ms()),
            deadline=deadline or Deadline(),
            streams=streams,
        )


def _warn_of_quorum(quorum: int, poller: "Poller", common: Common) -> None:
    """Warn when fewer providers than the quorum have candles for the whole window."""
    reaching = poller.find_full_reach()
    if quorum > len(reaching) and poller.able:
        names = ", ".join(reaching) or "none"
        common.say(
            f"collect.quorum = {quorum}, but the candles of only {len(reaching)} providers reach back 25 hours "
            f"({names}): older minutes stay unsettled; lower it, or add providers"
        )


def _format_cycle(cycle: "Cycle", market: "Market", format: LineFormat, *, verbose: bool) -> str:
    from btcts.render.collect import cycle_json, cycle_line

    if format is LineFormat.json:
        return cycle_json(cycle, market)
    return cycle_line(cycle, market, utc=False, verbose=verbose)
