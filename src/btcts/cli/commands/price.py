"""`btcts price`."""

import typer

from btcts.cli.options import Common, FormatOption, MaxAgeOption, ReplicaOption, with_common_options
from btcts.cli.output import LineFormat, complain, emit, tell
from btcts.errors import ExitCode


@with_common_options
def price(
    *,
    max_age: MaxAgeOption = None,
    replica: ReplicaOption = False,
    format: FormatOption = LineFormat.text,
    common: Common,
) -> None:
    """Print the price as one number; exit code 1 when it is stale.

    Examples:
      btcts price
      btcts price --max-age 10 || echo unknown
      btcts price --format json

    Without a fresh price, the number is left out and stderr says why.
    """
    from btcts.render.price import price_json, price_text
    from btcts.services.show import show_price

    settings = common.load_settings(redis__replica=replica or None)
    with common.connect(settings) as store:
        view = show_price(store, max_age_s=max_age)
        common.say_lag(settings, store)
    if view.simulated:
        common.say("the prices of this store are simulated")
    if format is LineFormat.json:
        emit(price_json(view))
    if view.lack:
        from btcts.render.sentences import describe_remarks

        complain(next(describe_remarks([view.lack])))
        raise typer.Exit(ExitCode.FAILURE)
    if format is LineFormat.text:
        tell(price_text(view))
