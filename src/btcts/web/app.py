"""The paths of `serve`, answered from the board."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, Router

from btcts import __version__
from btcts.domain.layout import RESOLUTIONS, Market
from btcts.render.metrics import metrics_text
from btcts.render.price import price_json
from btcts.render.show.documents import view_json
from btcts.render.status import away_json, health_json, status_json
from btcts.system.foreign import plain_page, redact
from btcts.web.board import Board

JSON = "application/json"
EVENTS = "text/event-stream"
METRICS = "text/plain; version=0.0.4; charset=utf-8"

UNAVAILABLE = 503

FILE_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}

Answer = Callable[[Board, Market, Request], Response]


def make_router(board: Board, market: Market) -> Router:
    """Return the application; it answers everybody, so that `Gate` has to stand before it."""
    answers: dict[str, Answer] = {
        "/api/price": _require_present(_answer_price),
        "/api/show": _require_present(_answer_overview),
        "/api/show/{resolution}": _require_present(_answer_slots),
        "/api/status": _require_present(_answer_status),
        "/health": _require_present(_answer_health),
        "/metrics": _answer_metrics,
        "/events": _answer_events,
    }
    routes = [Route(path, _make_endpoint(partial(answer, board, market))) for path, answer in answers.items()]
    return Router([*_list_file_routes(), *routes], redirect_slashes=False)


def _make_endpoint(answer: Callable[[Request], Response]) -> Callable[[Request], Awaitable[Response]]:
    async def respond(request: Request) -> Response:
        return answer(request)

    return respond


def _require_present(answer: Answer) -> Answer:
    """Return an answer that gives the problem instead while Redis cannot be read."""

    def respond(board: Board, market: Market, request: Request) -> Response:
        if board.problem:
            return _respond(away_json(market, board.problem), UNAVAILABLE)
        return answer(board, market, request)

    return respond


def _list_file_routes() -> list[Route]:
    """Return the routes of the page and of the files that it needs, which lie beside this module; each is read once."""
    files = [file for file in sorted(Path(__file__).parent.iterdir()) if file.suffix in FILE_TYPES]
    named = {"/" if file.name == "page.html" else f"/{file.name}": file for file in files}
    return [Route(path, _make_endpoint(partial(_answer_file, file.read_bytes(), file))) for path, file in named.items()]


def _answer_file(content: bytes, file: Path, request: Request) -> Response:
    return Response(content, media_type=FILE_TYPES[file.suffix])


def _respond(text: str, status: int = 200) -> Response:
    """Return a document for programs, free of secrets and control characters."""
    return Response(_guard(text), status, media_type=JSON)


def _guard(text: str) -> str:
    return plain_page(redact(text).replace("\x7f", "\\u007f"))


def _answer_price(board: Board, market: Market, request: Request) -> Response:
    """Answer with the price, and never with one that is stale."""
    view = board.view
    return _respond(health_json(market, [view.lack]), UNAVAILABLE) if view.lack else _respond(price_json(view))


def _answer_overview(board: Board, market: Market, request: Request) -> Response:
    view = board.last_view
    return Response(board.render("show", view, lambda: _guard(view_json(view))), media_type=JSON)


def _answer_slots(board: Board, market: Market, request: Request) -> Response:
    name = request.path_params["resolution"]
    if name not in RESOLUTIONS:
        return PlainTextResponse(f"the resolutions are {', '.join(RESOLUTIONS)}", 404)
    view = board.last_view
    return Response(board.render(name, view, lambda: _guard(view_json(view.pick(name)))), media_type=JSON)


def _answer_status(board: Board, market: Market, request: Request) -> Response:
    return _respond(status_json(board.status, market))


def _answer_health(board: Board, market: Market, request: Request) -> Response:
    reasons = board.status.reasons
    return _respond(health_json(market, reasons), UNAVAILABLE if reasons else 200)


def _answer_metrics(board: Board, market: Market, request: Request) -> Response:
    text = metrics_text(None if board.problem else board.status, market, version=__version__)
    return Response(text, media_type=METRICS)


def _answer_events(board: Board, market: Market, request: Request) -> Response:
    if request.method == "HEAD":
        return Response(media_type=EVENTS)
    return StreamingResponse(_follow(board, market), media_type=EVENTS)


async def _follow(board: Board, market: Market) -> AsyncIterator[str]:
    """Yield the overview for each new price, and each second a beat that tells whether Redis answers."""
    sent = ""
    while not board.closed:
        event = "" if board.problem else _render_overview(board)
        yield _render_beat(board) if event is sent else event + _render_beat(board)
        sent = event
        await board.wait()


def _render_overview(board: Board) -> str:
    """Return the event of an overview; the same object while it is the same."""
    view = board.last_view
    key = (view.newest or view.refused, view.resolutions, view.stale)
    return board.render("event", key, lambda: f"data: {_guard(view_json(view))}\n\n")


def _render_beat(board: Board) -> str:
    problem = board.problem
    away = {"since_ms": board.since_ms, "message": redact(problem)} if problem else None
    return f"event: beat\ndata: {json.dumps({'now_ms': board.now_ms, 'away': away})}\n\n"
