"""The head of JSON documents."""

import json
import math

import pytest

from btcts.config import BTC_USD
from btcts.render.documents import SCHEMA, begin_document, dump_document


def test_a_document_begins_with_the_version_of_its_schema_and_the_market() -> None:
    ether = BTC_USD._replace(asset="ETH", currency="EUR")

    assert begin_document(ether) == {"schema": SCHEMA, "market": "ETH-EUR"}


def test_a_document_stands_on_one_line_and_keeps_its_numbers_to_the_last_bit() -> None:
    document = begin_document(BTC_USD) | {"price": 0.1 + 0.2, "problem": "one\ntwo"}

    text = dump_document(document)

    assert "\n" not in text
    assert json.loads(text) == document


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_no_number_in_json_gets_into_no_document(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        dump_document({"price": value})
