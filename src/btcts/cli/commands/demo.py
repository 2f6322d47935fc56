"""`btcts demo`."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from btcts.cli.options import Common, SvgOption, with_common_options
from btcts.cli.output import Form, Printer, emit, tell, tell_lines, write_picture
from btcts.cli.signals import end_on_signals
from btcts.errors import ConfigError

if TYPE_CHECKING:
    from btcts.domain.clock import Clock
    from btcts.services.show import View
    from btcts.store import Store

SCREENS = (
    ("btcts show", Form.table, None),
    ("btcts show 15min", Form.table, "15min"),
    ("btcts show hour --chart", Form.chart, "hour"),
)
"""The screens: command, form and resolution."""

CHART_HEIGHT = 20
"""Lines of the chart, so that it does not push the tables off the screen."""

NEXT = (
    "",
    "These prices were simulated. For real ones:",
    "  btcts collect --once        fetch prices, fill the last 24 hours",
    "  btcts collect --forever     keep them fresh",
    "  btcts show --watch          follow them",
)


@with_common_options
def demo(*, svg: SvgOption = None, common: Common) -> None:
    """Try everything on simulated prices; nothing is left behind.

    Examples:
      btcts demo
      btcts demo --svg terminal.svg
    """
    from btcts.domain.clock import ServerClock
    from btcts.providers import DEFAULTS, open_providers
    from btcts.providers.poller import Poller
    from btcts.render.collect import cycle_line
    from btcts.services.collect.collector import Collector
    from btcts.services.collect.loop import once
    from btcts.services.show import show_overview, show_slots

    _refuse_early(svg, common)
    clock = ServerClock()
    with (
        _open_throwaway_store(clock, common) as store,
        open_providers(["simulated"], DEFAULTS, market=store.market, clock=clock) as providers,
        Poller(providers) as poller,
    ):
        cycle = once(Collector(store, poller, cadence_s=None))
        tell(f"collected: {cycle_line(cycle, store.market, utc=False)}", err=svg == "-")
        views = [show_slots(store, name) if name else show_overview(store) for _, _, name in SCREENS]
    if svg == "-":
        emit(_draw_picture(views, common))
        return
    _print(views, common)
    if svg is not None:
        write_picture(svg, _draw_picture(views, common))
        common.say(f"the picture is in {svg}")
    tell_lines(NEXT)


def _refuse_early(svg: str | None, common: Common) -> None:
    """Refuse options that the demo cannot use before it starts anything."""
    if common.redis:
        raise ConfigError("demo runs a Redis of its own and throws it away; drop --redis")
    if svg not in (None, "-") and not _is_writable(Path(svg)):
        raise ConfigError(
            f"--svg {svg} cannot be written; name a file in a folder that exists and that you can write to"
        )


def _is_writable(file: Path) -> bool:
    """Tell whether the file can be created or written to; a pipe may stand in a folder that is not ours."""
    from btcts.system import durable

    try:
        is_folder = durable.exists(file) and file.is_dir()
        return not is_folder and (os.access(file, os.W_OK) or os.access(file.parent, os.W_OK))
    except OSError:  # its name is too long
        return False


def _print(views: list["View"], common: Common) -> None:
    """Print each view under the command that shows it."""
    for (command, form, _), view in zip(SCREENS, views, strict=True):
        tell_lines(["", f"$ {command}"])
        Printer(form, False, common.no_color).print(view, height=CHART_HEIGHT)


def _draw_picture(views: list["View"], common: Common) -> str:
    """Draw the terminal with all of them as SVG."""
    from btcts.render.demo import draw_terminal

    pages = [
        (command, partial(Printer(form, True, common.no_color).page, view, height=CHART_HEIGHT))
        for (command, form, _), view in zip(SCREENS, views, strict=True)
    ]
    return draw_terminal(pages, title="btcts demo")


@contextmanager
def _open_throwaway_store(clock: "Clock", common: Common) -> Iterator["Store"]:
    """Open a store on a temporary redis-server; server and files are gone when the block ends."""
    import tempfile

    from btcts.config import BTC_USD
    from btcts.connect import open_embedded_store
    from btcts.embedded import Embedded

    server = common.find_embedded(starts=True)
    binaries = server.find() or server.install(common.say)
    with end_on_signals(), tempfile.TemporaryDirectory(prefix="btcts-demo-") as folder:
        throw_away = Embedded(Path(folder), redis_server=binaries.server)
        try:
            throw_away.ensure(lambda line: None)  # nobody cares where a throwaway server keeps its data
            with open_embedded_store(throw_away, BTC_USD, clock=clock) as store:
                yield store
        finally:
            throw_away.discard()
