"""A candle chart as a picture: one SVG text that needs nothing else, on a ground of its own."""

from btcts.domain.layout import FUTURE_SLACK_MS
from btcts.render.chart.drawing import EDGE, GROUND, HEIGHT, INK, MARGIN, MUTED, ROWS, WIDTH, Drawing
from btcts.render.chart.plot import plot
from btcts.render.chart.svg import NAMESPACE, element, text, wrap_words
from btcts.render.figures import duration, price, stamp
from btcts.render.show.page import NONE_CLOSED, choose_places, has_prices
from btcts.services.show import SlotsView

WARNING = "#9a6700"
FONT = "ui-sans-serif, system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', Helvetica, Arial, sans-serif"
HOW_TO_READ = "Bodies go from the close before to the close, wicks from the lowest to the highest price of a slot."


def draw_chart_svg(view: SlotsView, *, utc: bool) -> str:
    """Draw the chart of the one resolution in `view`, with the same figures as in the terminal."""
    plotted = plot(view, most=len(view.shown.slots), rows=ROWS)
    about = f"{view.shown.resolution.name}, {stamp(view.now_ms, utc=utc)}"
    return element(
        "svg",
        wrap_words("title", f"{_name_market(view)} {_format_price(view)}, {about}", id="btcts-title"),
        wrap_words("desc", HOW_TO_READ if plotted else _explain_absence(view), id="btcts-desc"),
        element("rect", x=0.5, y=0.5, width=WIDTH - 1, height=HEIGHT - 1, rx=10, fill=GROUND, stroke=EDGE),
        *_draw_heading(view, about),
        *(Drawing(plotted, view, utc).draw_elements() if plotted else _draw_absence(view)),
        xmlns=NAMESPACE,
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        width=WIDTH,
        height=HEIGHT,
        role="img",
        aria_labelledby="btcts-title btcts-desc",
        font_family=FONT,
        font_size=13,
        fill=INK,
    )


def _draw_heading(view: SlotsView, about: str) -> list[str]:
    return [
        text(MARGIN, 42, f"{_name_market(view)} {_format_price(view)}", font_size=20, font_weight="bold"),
        text(MARGIN, 64, _describe_age(view), fill=WARNING if view.stale else MUTED),
        text(WIDTH - MARGIN, 42, about, fill=MUTED, font_size=14, text_anchor="end"),
    ]


def _name_market(view: SlotsView) -> str:
    return f"{view.market.name} (simulated)" if view.simulated else view.market.name


def _format_price(view: SlotsView) -> str:
    return price(view.newest.price, choose_places(view)) if view.newest else "no price"


def _describe_age(view: SlotsView) -> str:
    if view.refused:
        future = view.refused.time_ms > view.now_ms + FUTURE_SLACK_MS
        return f"Stale: the newest tick {'lies in the future' if future else 'is no price'}"
    if view.age_s is None:
        return "Stale: there is no newest price"
    age = f"{duration(view.age_s)} old"
    return f"Stale: {age}, the limit is {duration(view.max_age_s)}" if view.stale else age


def _explain_absence(view: SlotsView) -> str:
    if has_prices(view) or view.refused:
        return "None of these slots has a price."
    if view.newest is not None:
        return NONE_CLOSED
    return "Nothing is stored yet." if view.oldest_ms is None else "No price is kept of that time."


def _draw_absence(view: SlotsView) -> list[str]:
    return [text(WIDTH / 2, HEIGHT / 2, _explain_absence(view), fill=MUTED, font_size=16, text_anchor="middle")]
