"""pip or uv, told where their packages come from by the user's settings, and nothing else.

Of pip's settings, variables and files alike, those that say which index is asked and how it is reached are kept. All
others could send the binaries elsewhere or keep them from being fetched (prefix, root, dry-run, requirement, ...).
"""

import ast
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from btcts.embedded.programs import find_program, pick_environment, run

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
"""The variables that both are given: their folders, proxies, certificates and logins."""

PIP_KEPT = frozenset(
    {
        "index-url",
        "pypi-url",
        "extra-index-url",
        "no-index",
        "find-links",
        "trusted-host",
        "cert",
        "client-cert",
        "proxy",
        "timeout",
        "default-timeout",
        "retries",
        "keyring-provider",
        "cache-dir",
        "no-cache-dir",
    }
)
"""The settings of pip that are kept."""

UV_KEPT = re.compile(
    "UV_(?:DEFAULT_INDEX|INDEX.*|EXTRA_INDEX_URL|NO_INDEX|FIND_LINKS|INSECURE_HOST|NATIVE_TLS|SYSTEM_CERTS"
    "|HTTP_TIMEOUT|HTTP_RETRIES|KEYRING_PROVIDER|CACHE_DIR|NO_CACHE|OFFLINE|CONFIG_FILE|NO_CONFIG)"
)
"""The variables of uv that are kept; its files are, for what is told on its command line beats them."""

NO_FILE = os.devnull
"""As PIP_CONFIG_FILE it keeps pip from reading any of its files."""

LISTING = {f"PIP_{name}": "0" for name in ("QUIET", "VERBOSE", "GLOBAL", "SITE", "USER")}
"""Against settings in the files that change what is listed of them: `user = true` means the file of the user alone."""

LISTED = re.compile(r"(?P<section>global|install)\.(?P<name>[\w-]+)=(?P<value>['\"].*)")


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


def _read_pip_settings(command: Sequence[str], folder: Path) -> dict[str, str]:
    """Return the kept settings of pip as variables: a URL may hold a login, and arguments are visible to everybody."""
    files = {"PIP_CONFIG_FILE": str(Path(named).absolute())} if (named := os.environ.get("PIP_CONFIG_FILE")) else {}
    listing = run([*command, "config", "list"], folder, {**pick_environment(REACH), **LISTING, **files})
    found = [line for line in map(LISTED.fullmatch, listing.stdout.splitlines()) if line and line["name"] in PIP_KEPT]
    settings = {
        _name_variable(line["name"]): str(ast.literal_eval(line["value"]))
        for line in sorted(found, key=lambda line: line["section"])  # what is for `install` beats what is for all
    }
    return settings | pick_environment(map(_name_variable, PIP_KEPT))


def _name_variable(name: str) -> str:
    return f"PIP_{name.upper().replace('-', '_')}"


def _can_run(command: Sequence[str], folder: Path, environment: dict[str, str]) -> bool:
    try:
        return run([*command, "--version"], folder, environment).returncode == 0
    except OSError:
        return False
