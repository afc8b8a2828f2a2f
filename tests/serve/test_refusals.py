"""Every refusal names the parameter, its value and its bounds; nothing of ours leaks through a fault."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.serve.asking import CONTROL, T0_MS, Caller, ask_route, caller_of, filled_store

from everytick.serve.app import URL_BYTES_MAX
from everytick.serve.queries import Nothing
from everytick.serve.route import AnyRoute, Reply, Route
from everytick.serve.routes import ROUTES
from everytick.stores.memory import MemoryStore


@pytest.mark.parametrize(
    ("path", "query", "parameter", "words"),
    [
        ("/trades", "limit=-1", "limit", "a whole number from 1 to 10000"),
        ("/trades", "limit=0", "limit", "from 1 to 10000"),
        ("/trades", "limit=10001", "limit", "from 1 to 10000"),
        ("/trades", "limit=abc", "limit", "from 1 to 10000"),
        ("/trades", "limit=", "limit", "from 1 to 10000"),
        ("/trades", "limit=5.0", "limit", "from 1 to 10000"),
        ("/trades", "limit=1e3", "limit", "from 1 to 10000"),
        ("/trades", "limit=+5", "limit", "from 1 to 10000"),
        ("/trades", "limit", "limit", "from 1 to 10000"),
        ("/trades", "limit=1_000", "limit", "from 1 to 10000"),
        ("/trades", "limit=%EF%BC%91", "limit", "from 1 to 10000"),
        ("/trades", "limit=1%00", "limit", "from 1 to 10000"),
        ("/trades", "limit=5&limit=6", "limit", "one value"),
        ("/trades", "limit=" + "9" * 3_000, "limit", "from 1 to 10000"),
        ("/trades", "since_ms=1e99", "since_ms", "from 0 to 9223372036854"),
        ("/trades", "since_ms=NaN", "since_ms", "from 0 to 9223372036854"),
        ("/trades", "since_ms=-1", "since_ms", "from 0 to 9223372036854"),
        ("/trades", "until_ms=99999999999999999999", "until_ms", "from 0 to 9223372036854"),
        ("/trades", "since_ms=6&until_ms=5", "since_ms", "from 0 to 5"),
        ("/trades", "order=up", "order", "one of asc, desc"),
        ("/trades", "order=ASC", "order", "one of asc, desc"),
        ("/trades", "coin=", "coin", "a text of 1 to 64 characters"),
        ("/trades", "coin=" + "B" * 65, "coin", "a text of 1 to 64 characters"),
        ("/trades", "limt=5", "limt", "limit"),
        ("/trades", "Limit=5", "Limit", "did you mean limit"),
        ("/health", "verbose=1", "verbose", "no parameters"),
        ("/gaps", "open_only=maybe", "open_only", "true or false"),
        ("/gaps", "limit=0", "limit", "from 1 to 10000"),
        ("/seams", "limit=x", "limit", "from 1 to 10000"),
        ("/quarantine", "limit=x", "limit", "from 1 to 10000"),
        ("/coverage", "", "coin", "coin is required"),
        ("/coverage", "coin=BTC&kind=ticks", "kind", "one of"),
        ("/coverage", "coin=BTC&from_ms=9&to_ms=9", "from_ms", "before to_ms (9)"),
        ("/coverage", "coin=BTC&kind=candles", "interval", "one of 1h, 5m"),
    ],
)
def test_a_bad_parameter_is_refused_by_name(call: Caller, path: str, query: str, parameter: str, words: str) -> None:
    answer = call(path, query.encode())
    assert answer.status == 400
    assert answer.json["parameter"] == parameter
    assert words in answer.json["error"] + " " + answer.json["expected"]
    assert len(answer.body) < 1_000
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("path", "query", "parameter", "suggested"),
    [
        ("/trades", {"coin": "btc"}, "coin", "did you mean BTC?"),
        ("/trades", {"coin": "BCT"}, "coin", "did you mean BTC?"),
        ("/candles", {"coin": "ETH"}, "coin", "there is no coin 'ETH'"),
        ("/candles", {"interval": "5min"}, "interval", "did you mean 5m?"),
        ("/trades", {"venue": "hyperlikwid"}, "venue", "did you mean hyperliquid?"),
        ("/gaps", {"coin": "DOGE"}, "coin", "there is no coin 'DOGE'"),
        ("/coverage", {"coin": "DOGE"}, "coin", "there is no coin 'DOGE'"),
    ],
)
def test_an_unknown_name_is_not_found_and_known_ones_are_named(
    call: Caller, path: str, query: dict[str, str], parameter: str, suggested: str
) -> None:
    answer = call(path, query)
    assert answer.status == 404
    assert answer.json["parameter"] == parameter
    assert answer.json["value"] == query[parameter]
    assert suggested in answer.json["error"]
    assert any(name in answer.json["expected"] for name in ("BTC", "hyperliquid", "5m"))


def test_an_empty_store_says_that_nothing_is_recorded_yet() -> None:
    call = caller_of(MemoryStore())
    assert call("/trades").json == {"trades": [], "count": 0, "next_cursor": None}
    assert "nothing has been recorded yet" in call("/trades", {"coin": "BTC"}).json["expected"]
    assert call("/coverage", {"coin": "BTC"}).status == 404
    for route in ROUTES:
        assert ask_route(call, route).status != 500


@pytest.mark.parametrize("query", [b"coin=%ff", b"coin=\xff", b"&".join(b"a%d=1" % n for n in range(99))])
def test_a_query_string_that_cannot_be_read_is_refused(call: Caller, query: bytes) -> None:
    assert call("/trades", query).status == 400


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(ROUTES),
    st.binary(max_size=60) | st.from_regex(rb"(limit|since_ms|order|coin|cursor)=[^&]{0,20}", fullmatch=True),
)
def test_no_query_string_makes_the_server_fail(route: AnyRoute, query: bytes) -> None:
    answer = CALL(route.path, query, method=route.method, authorization=f"Bearer {CONTROL}")
    assert answer.status in (200, 400, 404)


CALL = caller_of(filled_store(), control_token=CONTROL)


def test_unknown_paths_other_methods_and_long_addresses_are_refused(call: Caller) -> None:
    lost = call("/trade")
    assert (lost.status, "did you mean /trades?" in lost.json["error"]) == (404, True)
    assert call("/trades/").status == 404
    assert call("/../etc/passwd").status == 404
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        other = call("/trades", method=method)
        assert (other.status, other.headers["allow"]) == (405, "GET, HEAD")
    assert call("/trades", b"coin=" + b"A" * URL_BYTES_MAX).status == 414
    assert call("/" + "a" * URL_BYTES_MAX).status == 414


def test_head_is_get_without_its_body(call: Caller) -> None:
    for path in ("/trades", "/health", "/metrics", "/nothing"):
        got, head = call(path), call(path, method="HEAD")
        assert head.body == b""
        assert head.status == got.status
        assert head.headers == got.headers
        assert int(head.headers["content-length"]) == len(got.body)


class Broken:
    """A store whose reader fails with its secrets in the message."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.opened = 0

    def reader(self) -> Any:
        self.opened += 1
        return self

    def close(self) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        raise self.error


@pytest.mark.parametrize("path", ["/trades", "/candles", "/gaps", "/seams", "/streams", "/stats", "/quarantine"])
def test_a_failing_store_is_a_503_with_an_id_and_nothing_else(path: str) -> None:
    store: Any = Broken(RuntimeError("disk I/O error in /var/lib/secret.sqlite, password=hunter2"))
    call = caller_of(store)
    first, second = call(path), call(path)
    for answer in (first, second):
        assert answer.status == 503
        assert answer.json["error"] == "the store did not answer; ask again later"
        assert set(answer.json) == {"error", "error_id"}
        assert "retry-after" in answer.headers
    assert first.json["error_id"] != second.json["error_id"]
    ids = [(error_id, where, error) for error_id, where, error in call.reported]
    assert ids == [(a.json["error_id"], path, store.error) for a in (first, second)]
    # Each question after a failure opens a new reader: a store that comes back is found.
    assert store.opened == 2
    assert call("/readyz").status == 503


def test_a_fault_of_ours_is_a_500_with_an_id_and_nothing_else() -> None:
    def broken_facts() -> Any:
        raise KeyError("a secret of ours")

    call = caller_of(filled_store(), facts=broken_facts)
    answer = call("/health")
    assert answer.status == 500
    assert "secret" not in answer.body.decode()
    assert isinstance(call.reported[0][2], KeyError)


def test_the_open_token_less_route_is_livez_alone() -> None:
    call = caller_of(filled_store(), token="s3cret-ünïcode")
    nowhere = Route("/nothing", "", Nothing, None, lambda *_: Reply())
    for route in [*ROUTES, nowhere]:
        for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Basic s3cret"}):
            answer = ask_route(call, route, **headers)
            if route.path == "/livez":
                assert answer.status == 200
            else:
                assert answer.status == 401
                assert answer.headers["www-authenticate"].startswith("Bearer")
                assert "s3cret" not in answer.body.decode()
    for scheme in ("Bearer", "bearer"):
        assert call("/trades", authorization=f"{scheme} s3cret-ünïcode").status == 200
    assert call("/trades", authorization="s3cret-ünïcode").status == 401


def test_every_answer_says_what_browsers_may_not_do_with_it(call: Caller) -> None:
    for answer in (call("/trades"), call("/nothing"), call("/trades", {"limit": 0})):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert answer.headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in answer.headers


def test_a_page_never_holds_more_than_was_asked_for(call: Caller) -> None:
    assert call("/trades", {"limit": 10_000, "since_ms": T0_MS}).json["count"] == 30
    assert call("/trades", {"limit": 1}).json["count"] == 1


def test_every_answer_is_counted_by_its_route_and_never_by_what_was_asked() -> None:
    told: list[tuple[str, int]] = []
    call = caller_of(filled_store(), answered=lambda route, status, _seconds: told.append((route, status)))
    call("/trades", {"limit": "2"})
    call("/trades", {"limit": "no"})
    call("/no/such/place")
    assert told == [("/trades", 200), ("/trades", 400), ("other", 404)]
