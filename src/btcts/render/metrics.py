"""The state of a store as metrics in the text format of Prometheus, which `docs/serve.md` lists.

https://prometheus.io/docs/instrumenting/exposition_formats/ and https://prometheus.io/docs/practices/naming/
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from btcts.domain.layout import Market
from btcts.domain.model import ProviderState
from btcts.services.status import Status

Sample = tuple[Mapping[str, str], float | None]
"""The labels of a value, and the value; None where it is not known."""

PROVIDER_STATES = ("answers", "fails", "waits")

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


class Metric(NamedTuple):
    """A metric with its samples."""

    name: str
    help: str
    samples: Iterable[Sample]
    kind: str = "gauge"


def metrics_text(status: Status | None, market: Market, *, version: str) -> str:
    """Write the metrics of a store, and none about prices when they are not known, as Redis does not answer (None).

    A price that is stale is left out, so that nobody takes it for that of now.
    """
    metrics = [
        _state_one("btcts_build_info", "The version of btcts.", 1, version=version),
        _state_one("btcts_redis_up", "1 while Redis answers.", status is not None),
    ]
    if status is not None:
        metrics += [*_measure_price(status, market), *_measure_store(status)]
        metrics += [*_measure_providers(status), *_measure_streams(status)]
    return "".join(line for metric in metrics for line in _format_metric(metric))


def _measure_price(status: Status, market: Market) -> Iterator[Metric]:
    newest, fresh = status.newest, status.age_s is not None and status.age_s <= status.max_age_s
    labels = {"market": market.name} | ({"simulated": "true"} if status.state.simulated else {})
    yield _state_one("btcts_healthy", "1 while `btcts status` finds nothing unhealthy.", status.healthy)
    name, text = f"btcts_price_{market.currency.lower()}", "The newest price; absent when it is stale."
    yield Metric(name, text, [(labels, newest.price if newest and fresh else None)])
    yield _state_one("btcts_price_timestamp_seconds", "Time of the newest price.", newest and newest.time_ms / 1000)
    yield _state_one("btcts_price_max_age_seconds", "Age from which on a price is stale.", status.max_age_s)
    yield _state_one("btcts_price_members", "Providers that agreed on the newest price.", len(status.state.members))
    cycle_ms = status.state.last_cycle_ms
    text = "Time of the last cycle of a collector."
    yield _state_one("btcts_last_cycle_timestamp_seconds", text, cycle_ms and cycle_ms / 1000)


def _measure_store(status: Status) -> Iterator[Metric]:
    counts = status.completeness.items()
    missing: list[Sample] = [({"resolution": name}, count.expected - count.present) for name, count in counts]
    settled: list[Sample] = [({"resolution": name}, count.settled) for name, count in counts]
    expected: list[Sample] = [({"resolution": name}, count.expected) for name, count in counts]
    yield Metric("btcts_slots_expected", "Closed slots that are kept.", expected)
    yield Metric("btcts_slots_missing", "Closed slots without a price.", missing)
    yield Metric("btcts_slots_settled", "Closed slots with the agreed candles of the exchanges.", settled)
    gaps: list[Sample] = [({"reason": reason}, count) for reason, count in sorted(status.minutes.gaps.items())]
    yield Metric("btcts_gaps", "Closed minutes without an agreed candle by the known reason.", gaps)
    clocks: list[Sample] = [({"clock": "machine"}, status.facts.ahead_ms / 1000)]
    if status.state.ahead_ms is not None:
        clocks.append(({"clock": "providers"}, status.state.ahead_ms / 1000))
    yield Metric("btcts_clock_offset_seconds", "How far a clock is ahead of that of Redis.", clocks)
    yield _state_one("btcts_spooled_prices", "Prices on this machine that wait for Redis.", status.spooled)
    yield _state_one("btcts_redis_memory_bytes", "Memory that Redis uses.", status.facts.used_bytes)


def _measure_providers(status: Status) -> Iterator[Metric]:
    known = dict(sorted(status.state.providers.items()))
    states: list[Sample] = [
        ({"provider": name, "state": state}, state == _find_state(provider, status.now_ms))
        for name, provider in known.items()
        for state in PROVIDER_STATES
    ]
    credits: list[Sample] = [({"provider": name}, provider.credits_left) for name, provider in known.items()]
    far: list[Sample] = [({"provider": name}, ratio) for name, ratio in sorted(status.state.deviating.items())]
    yield Metric("btcts_provider_state", "1 for the state that a provider is in.", states)
    text = "Distance of a provider from the price, where it is more than 1 %: -0.02 is 2 % below."
    yield Metric("btcts_provider_deviation_ratio", text, far)
    yield Metric("btcts_provider_credits_remaining", "Credits that the provider has left.", credits)


def _find_state(known: ProviderState, now_ms: int) -> str:
    if known.not_before_ms > now_ms:
        return "waits"
    return "answers" if known.answers else "fails"


def _measure_streams(status: Status) -> Iterator[Metric]:
    streams = {name: ({"provider": name}, stream) for name, stream in sorted(status.streams.items())}.values()

    def measure(name: str, text: str, samples: Iterable[Sample], kind: str = "gauge") -> Metric:
        return Metric(f"btcts_stream_{name}", text, samples, kind)

    yield measure("up", "1 while the stream is connected.", [(at, not stream.problem) for at, stream in streams])
    whole: list[Sample] = [(at, stream.whole_since_ms is not None) for at, stream in streams]
    yield measure("whole", "1 while no trade is missing.", whole)
    lag: list[Sample] = [(at, None if stream.lag_ms is None else stream.lag_ms / 1000) for at, stream in streams]
    yield measure("lag_seconds", "Time that a trade takes to arrive.", lag)
    gaps: list[Sample] = [(at, stream.gap_ms and stream.gap_ms / 1000) for at, stream in streams]
    yield measure("last_gap_timestamp_seconds", "Time of the last gap in the trades.", gaps)
    for name, text, field in (
        ("reconnects_total", "Connections after the first.", "reconnects"),
        ("candles_compared_total", "Candles from trades that were compared with those of the provider.", "compared"),
        ("candles_corrected_total", "Those of them in which they differ.", "corrected"),
    ):
        yield measure(name, text, [(at, getattr(stream, field)) for at, stream in streams], "counter")


def _state_one(name: str, text: str, value: float | None, **labels: str) -> Metric:
    return Metric(name, text, [(labels, value)])


def _format_metric(metric: Metric) -> Iterator[str]:
    """Yield the lines of a metric; none when nothing is known."""
    samples = [(labels, value) for labels, value in metric.samples if value is not None]
    if samples:
        yield f"# HELP {metric.name} {metric.help}\n# TYPE {metric.name} {metric.kind}\n"
    for labels, value in samples:
        named = ",".join(f'{name}="{text.translate(_ESCAPES)}"' for name, text in labels.items())
        yield f"{metric.name}{{{named}}} {float(value)!r}\n" if named else f"{metric.name} {float(value)!r}\n"
