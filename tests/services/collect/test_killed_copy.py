"""`copy` killed at any step of its talk with Redis: its target holds what it held before, or all of the copy."""

from collections.abc import Mapping

import redis

from btcts.config import BTC_USD
from btcts.domain.layout import Layout, Market
from services.collect.conftest import Kill
from services.collect.killed_collector import COPIED
from services.scenes import SETTINGS, THEN, Scene, Story
from support.samples import count_steps
from support.series import NOW, samples

STRIDE = 8
"""Of so many steps the tests take one."""


def copied(scene: Scene) -> None:
    """A window and its copy, three hours ago."""
    scene.run("collect", NOW)
    scene.run("copy", NOW)


STORY = Story(steps=40, before=copied, command="copy")


def look(client: redis.Redis, market: Market) -> Mapping[str, object]:
    """All that readers find under the names of a market."""
    layout = Layout(market)
    found: dict[str, object] = {}
    for key in filter(client.exists, layout.series):
        info = client.execute_command("TS.INFO", key)
        settings = repr([info[name] for name in SETTINGS]).replace(market.prefix, "")
        found[key.removeprefix(market.prefix)] = samples(client, key, latest=True), samples(client, key), settings
    hashes = {key: client.hgetall(key) for key in (layout.gaps, layout.state)}
    return found | {key.removeprefix(market.prefix): fields for key, fields in hashes.items()}


def test_a_copy_killed_at_any_step_has_changed_nothing_or_all_and_the_next_run_completes_it(
    scene: Scene, killed: Kill
) -> None:
    STORY.before(scene)
    scene.run("collect", THEN)
    scene.save()
    before, wanted = look(scene.client, COPIED), look(scene.client, BTC_USD)
    turned_out = []

    for step in count_steps(STRIDE):
        scene.rewind()
        was_killed, _ = killed(STORY, step)
        left = look(scene.client, COPIED)
        scene.run("copy", STORY.later_ms)

        assert left in (before, wanted), step
        assert look(scene.client, COPIED) == look(scene.client, BTC_USD) == wanted, step
        turned_out.append(left == wanted)
        if not was_killed:
            break

    assert before != wanted
    assert turned_out == sorted(turned_out)
    assert set(turned_out) == {False, True}
    assert step > STORY.steps
