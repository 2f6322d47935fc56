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


@with_common_options
def demo(*, common: Common) -> None:
    """Show the whole of it on simulated prices: no exchange, no key, no Redis needed, nothing left behind."""
    from btcts.clock import ServerClock
    from btcts.polling import Poller
    from btcts.providers import DEFAULTS, open_providers
    from btcts.render.lines import cycle_line
    from btcts.render.tables import overview_table, show_table
    from btcts.services.collect import Collector, once
    from btcts.services.show import show

    clock = ServerClock()
    console = common.console()
    with (
        _throw_away_store(clock, common) as store,
        open_providers(["simulated"], DEFAULTS, clock=clock) as providers,
        Poller(providers) as poller,
    ):
        cycle = once(Collector(store, poller, clock, cadence_s=None))
        typer.echo(f"collected: {cycle_line(cycle, utc=False)}\n")
        show_table(show(store, ["15min"]), utc=False, console=console)
        console.print()
        overview_table(show(store), utc=False, console=console)
    typer.echo("\nThese prices were simulated. For true ones: btcts collect --once && btcts show")


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
