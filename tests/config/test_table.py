"""The one table of settings."""

from btcts.config import DEFAULT_PROVIDERS, list_settings
from btcts.providers import DEFAULTS
from config.conftest import ENDPOINTS


def test_every_default_provider_is_a_real_one() -> None:
    assert DEFAULT_PROVIDERS
    assert set(DEFAULT_PROVIDERS) <= set(DEFAULTS) - {"simulated"}


def test_no_variable_means_two_settings() -> None:
    variables = [variable for setting in list_settings(ENDPOINTS).values() for variable in setting.variables]

    assert len(set(variables)) == len(variables)
