"""`btcts watch`."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from btcts.cli.options import (
    INTERVAL_S,
    Common,
    FormatOption,
    IntervalOption,
    MaxAgeOption,
    UtcOption,
    with_common_options,
)
from btcts.cli.output import LineFormat, complain, emit, print_if_possible, tell
from btcts.cli.signals import stop_on_signals
from btcts.cli.startup import collect_garbage_again
from btcts.domain.clock import Stop
from btcts.errors import ConfigError, ExitCode

if TYPE_CHECKING:
    from btcts.domain.clock import Clock
    from btcts.domain.layout import Market
    from btcts.services.watch.outbox import Deliver, Told
    from btcts.services.watch.rules import Rule
    from btcts.services.watch.watcher import Watch

DELIVERY = "Delivery"


@with_common_options
def watch(
    *,
    above: Annotated[
        list[str] | None, typer.Option(metavar="P", help="Alert when the price rises to P or more; repeatable.")
    ] = None,
    below: Annotated[
        list[str] | None, typer.Option(metavar="P", help="Alert when the price falls to P or less; repeatable.")
    ] = None,
    move: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PCT/SPAN",
            help="Alert when the price moves by PCT % within SPAN, such as 30s, 15min or 3h (at most 24h); "
            "+PCT for rises only, -PCT for falls; repeatable.",
        ),
    ] = None,
    stale: Annotated[
        bool, typer.Option("--stale", help="Alert when prices stop coming, and when they are back.")
    ] = False,
    hysteresis: Annotated[
        float,
        typer.Option(
            metavar="PCT",
            min=0,
            max=50,
            help="Percent of P by which the price must retreat before the same alert can repeat.",
        ),
    ] = 0.1,
    max_age: MaxAgeOption = None,
    once: Annotated[bool, typer.Option("--once", help="Look once and exit, for cron.")] = False,
    interval: IntervalOption = None,
    command: Annotated[
        str | None,
        typer.Option(
            "--exec",
            metavar="CMD",
            help="Run this for each alert, without a shell: BTCTS_ALERT_MESSAGE, _PRICE, _RULE and others in its "
            "environment, JSON on its stdin.",
            rich_help_panel=DELIVERY,
        ),
    ] = None,
    webhook: Annotated[
        str | None,
        typer.Option(
            metavar="URL|@FILE",
            help="POST each alert as JSON to this URL, or to the one in a file.",
            rich_help_panel=DELIVERY,
        ),
    ] = None,
    format: FormatOption = LineFormat.text,
    utc: UtcOption = False,
    common: Common,
) -> None:
    """Alert when the price reaches a level or moves, once each time.

    Examples:
      btcts watch --above 100000 --below 80000
      btcts watch --move 3/1h --stale --exec 'notify-send Bitcoin'
      btcts watch --move -5/15min --webhook https://hooks.example.com/path
      * * * * * btcts watch --once --below 80000     (in a crontab)

    A rule fires at once if its condition already holds; what happened while Redis or the watch was away is found
    later. It fires again only after the price has retreated from the level, or the move has shrunk by a fifth. A failed
    delivery is retried for an hour, also after a restart, unless the webhook refuses it (HTTP 4xx). Discord and Slack
    get only the message. --once exits with 0 (done), 1 (a delivery failed) or 3 (no Redis).
    """
    if once and interval is not None:
        raise ConfigError(f"--interval {interval:g} is for a watch that goes on; --once looks once")
    interval_s = INTERVAL_S if interval is None else interval
    wanted = Wanted(_parse_rules(above or (), below or (), move or (), hysteresis), stale, max_age, command, webhook)
    if not wanted.names:
        raise ConfigError("watch needs something to watch for: say --above, --below, --move or --stale")
    teller = Teller(common, format, utc, alone=command is None and webhook is None)
    raise typer.Exit(_run_once(wanted, teller) if once else _run_forever(wanted, teller, interval_s))


class Wanted(NamedTuple):
    """The rules that a call watches, and the ways its alerts are delivered."""

    rules: Sequence["Rule"]
    stale: bool
    max_age_s: float | None
    command: str | None
    webhook: str | None

    @property
    def names(self) -> list[str]:
        """The names of the rules, the one about stale prices included."""
        from btcts.services.watch.rules import STALE

        return [*(rule.name for rule in self.rules), *([STALE] if self.stale else [])]


class Teller(NamedTuple):
    """The printer of alerts and notices; `alone` where alerts go nowhere but stdout."""

    common: Common
    format: LineFormat
    utc: bool
    alone: bool

    def tell(self, told: Iterable["Told"], market: "Market") -> None:
        """Print alerts on stdout, and notices about the watch itself on stderr."""
        from btcts.render.watch import alert_json, alert_line, notice_line
        from btcts.services.watch.outbox import Notice

        for message in told:
            if isinstance(message, Notice):
                (complain if message.failed else self.common.say)(notice_line(message))
            else:
                as_json = self.format is LineFormat.json
                text = alert_json(message, market) if as_json else alert_line(message, market, utc=self.utc)
                if self.alone:
                    (emit if as_json else tell)(text)
                else:
                    print_if_possible(text, as_json=as_json)


def _run_once(wanted: Wanted, teller: Teller) -> ExitCode:
    from btcts.services.watch.watcher import once

    with _open_watch(wanted, teller.common, Stop()) as watch:
        teller.tell(once(watch), watch.store.market)
        if watch.away is not None:
            return watch.away.exit_code
        return ExitCode.FAILURE if watch.outbox.waiting or watch.outbox.lost else ExitCode.DONE


def _run_forever(wanted: Wanted, teller: Teller, interval_s: float) -> ExitCode:
    from btcts.services.watch.watcher import forever

    stop = Stop()
    with _open_watch(wanted, teller.common, stop) as watch, stop_on_signals(stop):
        collect_garbage_again()
        teller.common.say(f"watching {', '.join(wanted.names)} at {watch.store.where} every {interval_s:g} s")
        teller.tell(forever(watch, interval_s=interval_s, stopped=stop.is_set), watch.store.market)
    return ExitCode.DONE


@contextmanager
def _open_watch(wanted: Wanted, common: Common, stop: Stop) -> Iterator["Watch"]:
    """Open a watch of the store that the settings name; no other process can watch its rules meanwhile."""
    from random import random

    from btcts.connect import connect
    from btcts.domain.clock import ServerClock
    from btcts.services.watch.journal import Journal
    from btcts.services.watch.outbox import Outbox
    from btcts.services.watch.watcher import Watch

    settings = common.load_settings()
    clock = ServerClock(stop)
    where = f"{settings.redis.where}, database {settings.redis.db}"
    journal = Journal(settings.embedded.data_dir / f"alerts{settings.market.file_suffix}", where, wanted.names)
    with (
        _open_ways(wanted, settings.market, clock) as ways,
        connect(settings, clock=clock, starts_embedded=False, say=common.say) as store,
        journal.lock(),
    ):
        outbox = Outbox(journal, ways, random)
        yield Watch(store, wanted.rules, outbox, stale=wanted.stale, max_age_s=wanted.max_age_s)


@contextmanager
def _open_ways(wanted: Wanted, market: "Market", clock: "Clock") -> Iterator[dict[str, "Deliver"]]:
    """Open the ways of delivery that are wanted, by name."""
    from btcts.render.watch import alert_body, alert_json, list_alert_variables

    ways: dict[str, Deliver] = {}
    with ExitStack() as stack:
        if wanted.command is not None:
            from btcts.services.watch.command import parse_command

            ran = parse_command(wanted.command)
            ways["exec"] = lambda alert: ran.run(alert_json(alert, market), list_alert_variables(alert, market))
        if wanted.webhook is not None:
            from btcts.providers.http import Client
            from btcts.services.watch.webhook import Webhook, parse_address

            url = parse_address(wanted.webhook)
            hook = Webhook(url, stack.enter_context(Client(url)), clock)
            ways["webhook"] = lambda alert: hook.post(alert_body(alert, market, hook.text_field))
        yield ways


def _parse_rules(above: Sequence[str], below: Sequence[str], move: Sequence[str], hysteresis: float) -> list["Rule"]:
    """Parse the rules; one that is written twice, in whatever spelling, counts once."""
    from btcts.services.watch import rules

    named: list[Rule] = [
        *(rules.parse_level("above", text, hysteresis) for text in above),
        *(rules.parse_level("below", text, hysteresis) for text in below),
        *chain.from_iterable(map(rules.parse_moves, move)),
    ]
    return list({rule.name: rule for rule in named}.values())
