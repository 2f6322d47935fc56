"""The one table of settings."""

from btcts.config import DEFAULT_PROVIDERS, table
from btcts.providers import DEFAULTS
from config.conftest import ENDPOINTS


def test_the_default_providers_are_real_ones() -> None:
    assert set(DEFAULT_PROVIDERS) == set(DEFAULTS) - {"simulated"}


def test_no_variable_means_two_settings() -> None:
    variables = [variable for setting in table(ENDPOINTS).values() for variable in setting.variables]

    assert len(set(variables)) == len(variables)
