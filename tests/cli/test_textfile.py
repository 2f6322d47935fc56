"""`btcts collect --textfile`: metrics for node_exporter."""

import os
import signal
import subprocess
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from cli.conftest import BTCTS, Btcts
from support.wording import Wording

wording = Wording(__file__)


def read_metrics(file: Path) -> dict[str, float]:
    """Return the first value of each metric."""
    return {family.name: family.samples[0].value for family in text_string_to_metric_families(file.read_text())}


def test_a_single_run_leaves_the_metrics_for_other_users_to_read(btcts: Btcts, tmp_path: Path) -> None:
    file = tmp_path / "btcts.prom"

    done = btcts("collect", "--once", "--textfile", str(file))

    metrics = read_metrics(file)
    assert (done.code, done.out, done.err) == (0, "", "")
    assert metrics["btcts_redis_up"] == metrics["btcts_healthy"] == 1
    assert metrics["btcts_price_usd"] > 0
    assert file.stat().st_mode & 0o777 == 0o644
    assert [path.name for path in tmp_path.iterdir() if "prom" in path.name] == ["btcts.prom"]


def test_without_redis_no_price_is_left_in_the_file(btcts: Btcts, tmp_path: Path) -> None:
    file = tmp_path / "btcts.prom"
    btcts("collect", "--once", "--textfile", str(file))

    done = btcts("collect", "--once", "--textfile", str(file), REDIS_URL=f"unix://{tmp_path}/nobody")

    assert done.code == 3
    assert read_metrics(file)["btcts_redis_up"] == 0
    assert "btcts_price" not in file.read_text()


def test_a_file_that_cannot_be_written_is_said_and_the_price_is_stored(btcts: Btcts, tmp_path: Path) -> None:
    file = tmp_path / "folder" / "btcts.prom"
    file.parent.mkdir()
    (file.parent / ".btcts.prom.new").mkdir()

    done = btcts("collect", "--once", "--textfile", str(file))

    assert done.code == 0
    assert done.err.startswith(f"btcts: --textfile {file} cannot be written")
    assert btcts("price").code == 0


@pytest.mark.parametrize("name", ["missing/btcts.prom", ".", "a" * 300], ids=["missing", "folder", "long"])
def test_what_can_be_no_file_is_refused_at_once(btcts: Btcts, tmp_path: Path, name: str) -> None:
    done = btcts("collect", "--once", "--textfile", str(tmp_path / name))

    assert (done.code, done.out) == (2, "")
    wording.check("no file", done.err[:-1], file=tmp_path / name)


def test_a_pipe_is_not_replaced(btcts: Btcts, tmp_path: Path) -> None:
    pipe = tmp_path / "btcts.prom"
    os.mkfifo(pipe)

    done = btcts("collect", "--once", "--textfile", str(pipe))

    assert (done.code, done.err) == (
        2,
        f"btcts: --textfile {pipe} cannot be a file; name one in a folder that exists\n",
    )
    assert pipe.is_fifo()


def test_metrics_behind_a_link_are_written_where_the_link_points(btcts: Btcts, tmp_path: Path) -> None:
    link, file = tmp_path / "btcts.prom", tmp_path / "elsewhere.prom"
    link.symlink_to(file)

    done = btcts("collect", "--once", "--textfile", str(link))

    assert (done.code, done.err) == (0, "")
    assert link.is_symlink()
    assert read_metrics(file)["btcts_redis_up"] == 1


def test_the_end_of_the_cycles_removes_the_file(environ: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "btcts.prom"
    command = [*BTCTS, "collect", "--forever", "--interval", "1", "--no-streams", "--textfile", str(file)]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout
        lines = [running.stdout.readline() for _ in range(2)]  # the first cycle and its file are over
        metrics = read_metrics(file)
        running.send_signal(signal.SIGTERM)
        running.stdout.read()

    assert all(lines)
    assert metrics["btcts_price_usd"] > 0
    assert (running.returncode, file.exists()) == (0, False)
