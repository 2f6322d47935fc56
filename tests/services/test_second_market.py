"""Another market takes another value and nothing else."""

import json
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest
import redis
from rich.console import Console

import btcts
from btcts.config import load
from btcts.connect import connect, find_spool_folders, locate_memory_file
from btcts.domain.layout import Market
from btcts.errors import ConfigError
from btcts.providers import default_endpoints, open_providers
from btcts.providers.poller import Poller
from btcts.providers.simulated import Simulated
from btcts.render.chart.picture import draw_chart_svg
from btcts.render.collect import cycle_json, cycle_line
from btcts.render.init_keys import keys_json
from btcts.render.prune import prune_json
from btcts.render.show.documents import view_json
from btcts.render.show.overview import draw_overview_page
from btcts.render.show.slots import draw_slots_page
from btcts.render.status import status_json, status_lines
from btcts.render.verify import verify_json
from btcts.services.collect.collector import Collector
from btcts.services.init_keys import init_keys
from btcts.services.prune import prune
from btcts.services.show import show_overview, show_slots
from btcts.services.status import status
from btcts.services.verify.run import verify
from btcts.store import Store
from support.clocks import FakeClock
from support.series import NOW, TICK, samples
from support.servers import Server

ETH_EUR = Market("ETH", "EUR", prefix="eth-eur:price", file_suffix="-eth-eur", decimals=3)

SOURCE = Path(btcts.__file__).parent


@pytest.fixture
def ether(client: redis.Redis, clock: FakeClock) -> Store:
    return Store(client, ETH_EUR, clock=clock, where="test")


def collect(store: Store, clock: FakeClock) -> Iterator[str]:
    """Run a cycle and tell of it."""
    with Poller([Simulated(clock)]) as poller:
        cycle = Collector(store, poller, cadence_s=10.0).cycle()
    yield from (cycle_line(cycle, store.market, utc=True), cycle_json(cycle, store.market))


def draw(store: Store) -> Iterator[str]:
    """All that is shown of a store."""
    console = Console(width=200, record=True, quiet=True)
    hours, overview = show_slots(store, "hour"), show_overview(store)
    console.print(draw_slots_page(hours, utc=True, console=console))
    console.print(draw_overview_page(overview, utc=True, console=console))
    yield from (console.export_text(), draw_chart_svg(hours, utc=True), view_json(hours), view_json(overview))
    found = status(store)
    yield from (
        *status_lines(found, store.market, utc=True, width=None),
        status_json(found, store.market),
    )
    yield verify_json(verify(store), store.market)
    yield prune_json(prune(store, dry_run=True), store.market, dry_run=True)


def test_another_market_is_laid_out_collected_shown_and_verified(
    ether: Store, client: redis.Redis, clock: FakeClock
) -> None:
    laid_out = keys_json(init_keys(ether), ether.market, dry_run=False)

    told = [laid_out, *collect(ether, clock), *draw(ether)]

    documents = [json.loads(text) for text in told if text.startswith("{")]
    assert {document["market"] for document in documents} == {"ETH-EUR"}
    assert not [text for text in told if re.search(r"BTC|USD|btc:price", text)]
    assert verify(ether).findings == ()
    assert all(slot.settled for slot in ether.slots("hour")[:-1])
    assert {key.rpartition(":price:")[0] for key in client.scan_iter()} == {"eth-eur"}
    labels = client.execute_command("TS.INFO", "eth-eur:price:tick")["labels"]
    assert (labels["asset"], labels["quote"]) == ("eth", "eur")


def test_two_markets_in_one_redis_do_not_see_each_other(full: Store, ether: Store, clock: FakeClock) -> None:
    before = samples(full._link.client, TICK)

    told = [*collect(ether, clock), *draw(ether)]

    assert told
    assert samples(full._link.client, TICK) == before
    assert full.find_unknown_keys() == ether.find_unknown_keys() == ()
    assert (full.latest(), ether.latest()) == (show_overview(full).newest, show_overview(ether).newest)


def test_settings_take_a_market_to_its_store_and_to_its_own_files(server: Server, tmp_path: Path) -> None:
    environ = {"REDIS_URL": f"unix://{server.socket}", "BTCTS_DATA_DIR": str(tmp_path)}
    bitcoin = load(endpoints=default_endpoints(), environ=environ, cwd=tmp_path)
    ether = bitcoin._replace(market=ETH_EUR)

    with connect(ether, clock=FakeClock(NOW), starts_embedded=False, say=print) as store:
        assert store.market == ETH_EUR

    assert not {*find_spool_folders(bitcoin)} & {*find_spool_folders(ether)}
    assert locate_memory_file(bitcoin) != locate_memory_file(ether)


def test_providers_refuse_a_market_that_they_do_not_know() -> None:
    with (
        pytest.raises(ConfigError, match="ETH-EUR"),
        open_providers(["kraken"], {}, market=ETH_EUR, clock=FakeClock(NOW)),
    ):
        pass


def test_only_settings_and_providers_name_a_market() -> None:
    others = chain.from_iterable(
        (SOURCE / name).rglob("*") for name in ("cli", "render", "services", "store", "domain", "embedded")
    )
    files = [file for file in others if file.suffix in (".py", ".lua")]

    assert files
    assert [str(file) for file in files if re.search(r"BTC-USD|btc:price|[\"']USD|XBT", file.read_text("utf-8"))] == []
