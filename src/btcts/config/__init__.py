"""Settings, resolved once: flag > environment > project file > user file > default.

`table.py` is the one list of settings; the loader, the suggestions for a misspelt key, `config show` and the file
that `config init` writes derive from it. The dotted name of a setting is its path in `Settings`.
"""

from btcts.config.resolve import DEFAULT, load
from btcts.config.sources import config_files
from btcts.config.table import DEFAULT_PROVIDERS, SIMULATED, table
from btcts.config.values import BTC_USD, RedisSettings, Secret, Settings

__all__ = [
    "BTC_USD",
    "DEFAULT",
    "DEFAULT_PROVIDERS",
    "SIMULATED",
    "RedisSettings",
    "Secret",
    "Settings",
    "config_files",
    "load",
    "table",
]
