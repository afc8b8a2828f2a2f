"""Every fact we report, by name: its log line and its metrics move together.

A part is handed a `Telemetry` and says `telemetry.gap_found(...)`; it never formats a line or names a metric.
"""

from __future__ import annotations

from everytick.telemetry.fact import FACTS, Fact
from everytick.telemetry.facts import Telemetry
from everytick.telemetry.log import LogSettings
from everytick.telemetry.metrics import METRICS, Metric

__all__ = ["FACTS", "METRICS", "Fact", "LogSettings", "Metric", "Telemetry"]
