"""One answer in three formats, and what an Accept header gets."""

from __future__ import annotations

import csv
import importlib
import io
from typing import Any

import pytest
from tests.serve.asking import Caller, caller_of, filled_store

from everytick.serve import formats
from everytick.serve.formats import ARROW, CSV, JSON, choose
from everytick.serve.refusal import RequestRefused
from everytick.serve.routes import ROUTES

TABLES = [route for route in ROUTES if route.row is not None]
pyarrow: Any = importlib.import_module("pyarrow") if formats.HAS_ARROW else None


def query_of(path: str) -> dict[str, object]:
    return {"coin": "BTC"} if path == "/coverage" else {}


@pytest.mark.parametrize("route", TABLES, ids=lambda route: route.path)
def test_csv_and_json_hold_the_same_rows(call: Caller, route: Any) -> None:
    rows = call(route.path, query_of(route.path)).json[route.rows]
    answer = call(route.path, query_of(route.path), accept=CSV)
    assert answer.headers["content-type"].startswith("text/csv")
    read = list(csv.DictReader(io.StringIO(answer.body.decode(), newline="")))
    assert rows
    assert read == [{name: "" if value is None else str(value) for name, value in row.items()} for row in rows]


@pytest.mark.skipif(pyarrow is None, reason="the extra `arrow` is not installed")
@pytest.mark.parametrize("route", TABLES, ids=lambda route: route.path)
def test_arrow_and_json_hold_the_same_rows(call: Caller, route: Any) -> None:
    rows = call(route.path, query_of(route.path)).json[route.rows]
    answer = call(route.path, query_of(route.path), accept=ARROW)
    assert answer.headers["content-type"] == ARROW
    assert pyarrow.ipc.open_stream(answer.body).read_all().to_pylist() == rows


@pytest.mark.skipif(pyarrow is None, reason="the extra `arrow` is not installed")
def test_an_empty_table_still_has_its_columns(call: Caller) -> None:
    table = pyarrow.ipc.open_stream(call("/trades", {"until_ms": 1}, accept=ARROW).body).read_all()
    assert table.num_rows == 0
    assert table.schema.names == ["venue", "coin", "tid", "side", "px", "sz", "time"]
    assert call("/trades", {"until_ms": 1}, accept=CSV).body == b"venue,coin,tid,side,px,sz,time\r\n"


def test_prices_keep_their_zeros_and_are_text(call: Caller) -> None:
    row = call("/trades", {"limit": 1}).json["trades"][0]
    assert (row["px"], row["sz"]) == ("105056.0", "0.010")


def test_the_cursor_of_a_table_is_in_a_header(call: Caller) -> None:
    page = call("/trades", {"limit": 4}).json
    for accept in (JSON, CSV, ARROW) if pyarrow else (JSON, CSV):
        assert call("/trades", {"limit": 4}, accept=accept).headers["x-next-cursor"] == page["next_cursor"]
    assert "x-next-cursor" not in call("/trades", accept=CSV).headers


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        ("text/*", CSV),
        ("TEXT/CSV", CSV),
        ("text/csv;q=0.5, application/json;q=0.4", CSV),
        ("text/csv;q=0.5, application/json", JSON),
        ("text/html, */*;q=0.1", JSON),
        ("application/json;q=0, */*", CSV),
        (f"{ARROW}, application/json;q=0.9", ARROW),
        ("text/csv ; header=present ; q=1.0", CSV),
        ("text/csv;q=high, application/json;q=0.1", JSON),
    ],
)
def test_the_best_offered_format_is_chosen(accept: str, wanted: str) -> None:
    assert choose(accept, (JSON, CSV, ARROW), has_arrow=True) == wanted


@pytest.mark.parametrize("accept", ["text/html", "application/xml, image/*", "*/*;q=0", ";;;,,,", "q=1"])
def test_what_is_not_offered_is_refused_naming_what_is(call: Caller, accept: str) -> None:
    answer = call("/trades", accept=accept)
    assert answer.status == 406
    assert answer.json["expected"].startswith("application/json, text/csv")
    assert call("/health", accept="text/csv").json["expected"] == "application/json"


def test_without_pyarrow_an_arrow_request_is_told_which_extra_to_install() -> None:
    with pytest.raises(RequestRefused, match=r"everytick\[arrow\]"):
        choose(ARROW, (JSON, CSV, ARROW), has_arrow=False)
    assert choose(f"{ARROW}, text/csv;q=0.1", (JSON, CSV, ARROW), has_arrow=False) == CSV
    with pytest.raises(RequestRefused) as refused:
        choose("text/html", (JSON, CSV, ARROW), has_arrow=False)
    assert refused.value.body.expected == "application/json, text/csv"


def test_metrics_are_what_prometheus_asks_for() -> None:
    call = caller_of(filled_store(), metrics=lambda: b"# TYPE up gauge\nup 1\n")
    prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1"
    answer = call("/metrics", accept=prometheus)
    assert answer.body == b"# TYPE up gauge\nup 1\n"
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert caller_of(filled_store())("/metrics").status == 200
