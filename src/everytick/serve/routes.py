"""The route table: everything that can be asked. Routing, parsing, refusals and the OpenAPI document follow it."""

from __future__ import annotations

import functools

from everytick.serve import answers, control, ledger, openapi, points, queries, rows, state
from everytick.serve.formats import TEXT
from everytick.serve.queries import Nothing
from everytick.serve.route import AnyRoute, Reply, Route, Scope, Thread, paged
from everytick.serve.sources import Sources


def _index(_sources: Sources, _: Nothing) -> Reply:
    listed = [
        answers.RouteRow(r.path, r.method, r.summary, [f.name for f in openapi.parameters_of(r)], list(r.formats))
        for r in ROUTES
    ]
    return Reply(answers.Index("everytick", listed, "/openapi.json"))


def _document(_sources: Sources, _: Nothing) -> Reply:
    return Reply(body=_document_bytes())


@functools.cache
def _document_bytes() -> bytes:
    return openapi.document(ROUTES)


ROUTES: tuple[AnyRoute, ...] = (
    Route("/", "What can be asked here", Nothing, answers.Index, _index),
    Route(
        "/health",
        "Is data that is due arriving, durable and served? 200 only if it is",
        Nothing,
        answers.HealthAnswer,
        state.health,
        failing=state.HEALTH_UNWELL,
    ),
    Route(
        "/livez",
        "Does the main loop show life?",
        Nothing,
        answers.Live,
        state.livez,
        scope=Scope.OPEN,
        failing=503,
    ),
    Route(
        "/readyz",
        "Can questions be answered now?",
        Nothing,
        answers.Ready,
        state.readyz,
        thread=Thread.STORE,
        timeout_s=1.0,
        failing=503,
        busy=state.not_ready,
    ),
    Route(
        "/stats",
        "Counts over the store, and how far tape and store are",
        Nothing,
        answers.Stats,
        state.stats,
        thread=Thread.STORE,
    ),
    Route("/trading", "May orders go out? The kill switch", Nothing, answers.TradingAnswer, control.trading),
    *(
        Route(
            path,
            summary,
            queries.ReasonQuery,
            answers.TradingAnswer,
            respond,
            method="POST",
            scope=Scope.CONTROL,
            thread=Thread.CONTROL,
            failing=control.NOT_DURABLE,
        )
        for path, summary, respond in (
            ("/halt", "Halt trading at once, latched across restarts", control.halt),
            ("/arm", "Arm trading again after a halt", control.arm),
        )
    ),
    paged(
        "/trades",
        "Trades in time order, by pages",
        queries.TradesQuery,
        answers.Trades,
        rows.trades,
        rows="trades",
        row=answers.TradeRow,
        fast=rows.trades_fast,
    ),
    paged(
        "/candles",
        "Candles in the order of their open time, by pages",
        queries.CandlesQuery,
        answers.Candles,
        rows.candles,
        rows="candles",
        row=answers.CandleRow,
    ),
    paged(
        "/oi",
        "Open interest, funding and reference prices in time order, by pages",
        queries.PointsQuery,
        answers.OpenInterest,
        points.open_interest,
        rows="oi",
        row=answers.OpenInterestRow,
    ),
    paged(
        "/hlp",
        "What the watched accounts hold, all of them together, in time order, by pages",
        queries.PointsQuery,
        answers.Vaults,
        points.vaults,
        rows="hlp",
        row=answers.VaultsRow,
    ),
    paged(
        "/price",
        "Mid prices in time order, by pages",
        queries.PointsQuery,
        answers.Prices,
        points.prices,
        rows="prices",
        row=answers.PriceRow,
    ),
    paged(
        "/gaps",
        "What may be missing, newest first",
        queries.GapsQuery,
        answers.Gaps,
        ledger.gaps,
        rows="gaps",
        row=answers.GapRow,
    ),
    paged(
        "/seams",
        "Where one connection's record ends and the next begins, newest first",
        queries.SeamsQuery,
        answers.Seams,
        ledger.seams,
        rows="seams",
        row=answers.SeamRow,
    ),
    paged(
        "/coverage",
        "Is this stretch of time complete? A yes or a no, and every interval with its verdict",
        queries.CoverageQuery,
        answers.Coverage,
        ledger.coverage,
        rows="intervals",
        row=answers.CoverRow,
    ),
    paged(
        "/streams",
        "Every stream with its newest event",
        Nothing,
        answers.Streams,
        state.streams,
        rows="streams",
        row=answers.StreamRow,
    ),
    paged(
        "/quarantine",
        "Refused items with their reasons, newest first",
        queries.QuarantineQuery,
        answers.Quarantine,
        ledger.quarantine,
        rows="quarantine",
        row=answers.QuarantineRow,
    ),
    Route("/metrics", "Prometheus metrics", Nothing, None, state.metrics, formats=(TEXT,)),
    Route("/openapi.json", "This API as an OpenAPI 3.1 document", Nothing, None, _document),
)
