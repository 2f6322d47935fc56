"""`btcts verify`."""

import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from btcts.cli.options import Common, FormatOption, with_common_options
from btcts.cli.output import LineFormat, complain, emit, tell_lines
from btcts.errors import ExitCode

if TYPE_CHECKING:
    from btcts.services.verify.run import Verified


@with_common_options
def verify(
    *,
    repair: Annotated[bool, typer.Option("--repair", help="Repair what differs.")] = False,
    upstream: Annotated[
        bool, typer.Option("--upstream", help="Also compare settled minutes with the providers' candles.")
    ] = False,
    format: FormatOption = LineFormat.text,
    common: Common,
) -> None:
    """Recompute every bucket from the ticks, and list what differs.

    A repair unsettles a minute whose candle is damaged, and the next collect settles it anew. With --upstream the
    providers' candles show which ticks of settled minutes were changed, and the repair writes these candles at
    once.

    Exits with 1 when something differs and was not repaired, 4 when no provider answers.

    Examples:
      btcts verify
      btcts verify --upstream
      btcts verify --upstream --repair
      btcts verify --format json
    """
    from btcts.connect import open_poller
    from btcts.render import verify as findings
    from btcts.services.verify import run as service

    settings = common.load_settings()
    with common.connect(settings, starts_embedded=repair) as store, ExitStack() as stack:
        asked = None
        if upstream:
            poller = stack.enter_context(open_poller(settings, clock=store.clock))
            asked = service.Upstream(poller, settings.collect.quorum)
            if sys.stderr.isatty():
                common.say("asking the providers for the candles of the window")
        verified = service.verify(store, repair=repair, upstream=asked)
    if format is LineFormat.json:
        emit(findings.verify_json(verified, settings.market))
    elif verified.left or not common.quiet:
        tell_lines(findings.verify_lines(verified, verbose=common.verbose))
    raise typer.Exit(_choose_exit_code(verified, verbose=common.verbose))


def _choose_exit_code(verified: "Verified", *, verbose: bool) -> ExitCode:
    """Choose the exit code by what still differs; 4 when nothing could be compared upstream."""
    if verified.heard and verified.heard.problem:
        from btcts.render.verify import explain_no_comparison

        complain(explain_no_comparison(verified.heard, verbose=verbose))
        return ExitCode.PROVIDERS
    return ExitCode.FAILURE if verified.left else ExitCode.DONE
