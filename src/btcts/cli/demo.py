"""`btcts demo`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from btcts.cli.common import Common, with_common_options

if TYPE_CHECKING:
    from btcts.clock import Clock
    from btcts.store import Store

CHART_HEIGHT = 20
"""Lines of the chart, so that it does not push the tables off the screen."""

NEXT = """
These prices were simulated. For true ones:
  btcts collect --once        fetch the price and the candles of the last 24 hours
  btcts collect --forever     keep them fresh
  btcts show --watch          follow them"""


@with_common_options
def demo(*, common: Common) -> None:
    """See all of it on simulated prices; nothing is left behind."""
    from btcts.clock import ServerClock
    from btcts.polling import Poller
    from btcts.providers import DEFAULTS, open_providers
    from btcts.render.lines import cycle_line
    from btcts.services.collect import Collector, once

    clock = ServerClock()
    with (
        _throw_away_store(clock, common) as store,
        open_providers(["simulated"], DEFAULTS, clock=clock) as providers,
        Poller(providers) as poller,
    ):
        cycle = once(Collector(store, poller, clock, cadence_s=None))
        typer.echo(f"collected: {cycle_line(cycle, utc=False)}")
        _print_pages(store, common)
    typer.echo(NEXT)


def _print_pages(store: "Store", common: Common) -> None:
    """The overview, a table and a chart, each under the command that shows it."""
    from btcts.cli.printer import Form, Printer
    from btcts.services.show import show

    for command, form, names in (
        ("btcts show", Form.table, []),
        ("btcts show 15min", Form.table, ["15min"]),
        ("btcts show hour --chart", Form.chart, ["hour"]),
    ):
        typer.echo(f"\n$ {command}")
        Printer(form, False, common).print(show(store, names), height=CHART_HEIGHT)


@contextmanager
def _throw_away_store(clock: "Clock", common: Common) -> Iterator["Store"]:
    """A store on a redis-server of its own that ends, with its files, when this does."""
    import tempfile

    from btcts.connect import embedded_store
    from btcts.embedded import Embedded

    own = common().embedded
    server = Embedded(own.data_dir, redis_server=own.redis_server)
    binaries = server.find() or server.install(common.say)
    with tempfile.TemporaryDirectory(prefix="btcts-demo-") as folder:
        throw_away = Embedded(Path(folder), redis_server=binaries.server)
        try:
            throw_away.ensure(common.say)
            with embedded_store(throw_away, clock=clock) as store:
                yield store
        finally:
            throw_away.discard()
