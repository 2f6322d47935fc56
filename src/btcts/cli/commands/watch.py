"""`btcts watch`."""

import gc
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from btcts.cli.common import Common, with_common_options
from btcts.cli.formats import LineFormat
from btcts.cli.output import complain, tell, tell_on
from btcts.cli.stopping import stopped_by_signals
from btcts.errors import ConfigError

if TYPE_CHECKING:
    from btcts.services.watch.outbox import Deliver, Told
    from btcts.services.watch.rules import Rule
    from btcts.services.watch.trigger import Alert
    from btcts.services.watch.watcher import Watch

INTERVAL_S = 5.0
"""How often it looks unless told otherwise."""

DELIVERY = "Delivery"


@with_common_options
def watch(
    *,
    above: Annotated[
        list[str] | None, typer.Option(metavar="P", help="Alert when the price rises to P USD or more; repeatable.")
    ] = None,
    below: Annotated[
        list[str] | None, typer.Option(metavar="P", help="Alert when it falls to P USD or less; repeatable.")
    ] = None,
    move: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PCT/SPAN",
            help="Alert when it moves by PCT % within SPAN (s, min, h; at most 24h), +PCT up or -PCT down only; "
            "repeatable.",
        ),
    ] = None,
    stale: Annotated[
        bool, typer.Option("--stale", help="Alert when prices stop coming, and when they are back.")
    ] = False,
    hysteresis: Annotated[
        float, typer.Option(metavar="PCT", help="How many % of P it must retreat before the same alert can come again.")
    ] = 0.1,
    max_age: Annotated[
        float | None,
        typer.Option(metavar="S", help="Older prices are stale (default: 3 cadences, at least 150)."),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Look once and end, as cron wants it.")] = False,
    interval: Annotated[float | None, typer.Option(metavar="S", help="Seconds between looks (default: 5).")] = None,
    command: Annotated[
        str | None,
        typer.Option(
            "--exec",
            metavar="CMD",
            help="Run it for each alert, without a shell: BTCTS_ALERT_MESSAGE, _PRICE, _RULE and others in its "
            "environment, JSON on its stdin.",
            rich_help_panel=DELIVERY,
        ),
    ] = None,
    webhook: Annotated[
        str | None, typer.Option(metavar="URL|@FILE", help="POST each alert there as JSON.", rich_help_panel=DELIVERY)
    ] = None,
    format: Annotated[
        LineFormat, typer.Option(help="How alerts are printed, which they always are.", rich_help_panel=DELIVERY)
    ] = LineFormat.text,
    utc: Annotated[
        bool, typer.Option("--utc", help="Times in UTC instead of local time.", rich_help_panel=DELIVERY)
    ] = False,
    common: Common,
) -> None:
    """Say when the price crosses a level or moves, once each time.

    Examples:
      btcts watch --above 100000 --below 80000
      btcts watch --move 3/1h --stale --exec 'notify-send Bitcoin'
      btcts watch --move -5/15min --webhook https://hooks.example.com/path
      * * * * * btcts watch --once --below 80000     (a line for cron)

    What is so at the first look is said at once; what happened while Redis or the watch was away is found later. An
    alert comes again when the price has retreated, or a fifth of a move is gone by. A delivery that fails is tried
    again for an hour, across restarts too, but not one that the webhook refuses (HTTP 4xx). Discord and Slack get the
    message alone. --once exits with 0 done, 1 a delivery has failed, 3 no Redis.
    """
    if once and interval is not None:
        raise ConfigError(f"--interval {interval:g} is for a watch that goes on; --once looks once")
    interval_s = INTERVAL_S if interval is None else _within("--interval", interval, 1, 3600)
    percent = _within("--hysteresis", hysteresis, 0, 50)
    max_age_s = None if max_age is None else _within("--max-age", max_age, 1, 86_400)
    wanted = Wanted(_rules(above or (), below or (), move or (), percent), stale, max_age_s, command, webhook)
    if not wanted.names:
        raise ConfigError("watch needs something to watch for: say --above, --below, --move or --stale")
    teller = Teller(common, format, utc, alone=command is None and webhook is None)
    raise typer.Exit(_once(wanted, teller) if once else _forever(wanted, teller, interval_s))


class Wanted(NamedTuple):
    """What a call asks to be watched for, and how alerts are to be delivered."""

    rules: Sequence["Rule"]
    stale: bool
    max_age_s: float | None
    command: str | None
    webhook: str | None

    @property
    def names(self) -> list[str]:
        """The names of the rules, that about the feed included."""
        from btcts.services.watch.trigger import STALE

        return [*(rule.name for rule in self.rules), *([STALE] if self.stale else [])]


class Teller(NamedTuple):
    """How a call wants to be told; `alone` where alerts go no other way than to stdout."""

    common: Common
    format: LineFormat
    utc: bool
    alone: bool

    def tell(self, told: Iterable["Told"]) -> None:
        """Alerts on stdout, what is said about the watch itself on stderr."""
        from btcts.services.watch.outbox import Notice

        for each in told:
            if not isinstance(each, Notice):
                (tell if self.alone else tell_on)(self._line(each))
            elif each.failed:
                complain(each.text)
            else:
                self.common.say(each.text)

    def _line(self, alert: "Alert") -> str:
        from btcts.render.watch import alert_json, alert_line

        return alert_json(alert) if self.format is LineFormat.json else alert_line(alert, utc=self.utc)


def _once(wanted: Wanted, teller: Teller) -> int:
    from btcts.services.watch.watcher import once

    with _watch(wanted, teller.common, threading.Event()) as watch:
        teller.tell(once(watch))
        if watch.away is not None:
            return watch.away.exit_code
        return 1 if watch.outbox.waiting or watch.outbox.lost else 0


def _forever(wanted: Wanted, teller: Teller, interval_s: float) -> int:
    from btcts.services.watch.watcher import forever

    gc.enable()
    stop = threading.Event()
    with _watch(wanted, teller.common, stop) as watch, stopped_by_signals(stop):
        teller.common.say(f"watching {', '.join(wanted.names)} at {watch.store.where} every {interval_s:g} s")
        teller.tell(forever(watch, interval_s=interval_s, stopped=stop.is_set))
    return 0


@contextmanager
def _watch(wanted: Wanted, common: Common, stop: threading.Event) -> Iterator["Watch"]:
    """A watch of the store that the settings name; no other process watches its rules meanwhile."""
    from random import random

    from btcts.connect import connect
    from btcts.domain.clock import ServerClock
    from btcts.services.watch.journal import Keeper
    from btcts.services.watch.outbox import Outbox
    from btcts.services.watch.watcher import Watch

    settings = common()
    clock = ServerClock(stop)
    keeper = Keeper(settings.embedded.data_dir / "alerts", f"{settings.redis.where}, database {settings.redis.db}")
    with (
        _ways(wanted) as ways,
        connect(settings, clock=clock, writes=False, say=common.say) as store,
        keeper.held(wanted.names),
    ):
        outbox = Outbox(keeper, wanted.names, ways=ways, chance=random)
        yield Watch(store, clock, wanted.rules, outbox, stale=wanted.stale, max_age_s=wanted.max_age_s)


@contextmanager
def _ways(wanted: Wanted) -> Iterator[dict[str, "Deliver"]]:
    """The ways of delivery that are wanted, by name."""
    from btcts.render.watch import alert_body, alert_json, list_alert_variables

    ways: dict[str, Deliver] = {}
    with ExitStack() as stack:
        if wanted.command is not None:
            from btcts.services.watch.command import command

            ran = command(wanted.command)
            ways["exec"] = lambda alert: ran.run(alert_json(alert), list_alert_variables(alert))
        if wanted.webhook is not None:
            from btcts.providers.http import open_client
            from btcts.services.watch.webhook import Webhook, address

            url = address(wanted.webhook)
            hook = Webhook(url, stack.enter_context(open_client(url)))
            ways["webhook"] = lambda alert: hook.post(alert_body(alert, hook.text_field))
        yield ways


def _rules(above: Sequence[str], below: Sequence[str], move: Sequence[str], hysteresis: float) -> list["Rule"]:
    """The rules, each once, however often and in whatever way it was written."""
    from btcts.services.watch import rules

    named: list[Rule] = [
        *(rules.above(text, hysteresis) for text in above),
        *(rules.below(text, hysteresis) for text in below),
        *chain.from_iterable(map(rules.moves, move)),
    ]
    return list({rule.name: rule for rule in named}.values())


def _within(option: str, value: float, low: float, high: float) -> float:
    if not low <= value <= high:
        raise ConfigError(f"{option} {value:g} is not from {low:g} to {high:g}")
    return value
