"""The polls of a venue, put together: who asks what, within which allowance."""

from __future__ import annotations

from collections.abc import Callable

from everytick.config import Settings
from everytick.config.settings import HyperliquidSettings
from everytick.model.stream import Kind, Stream
from everytick.ports import Http
from everytick.recorder.governor import Governor
from everytick.recorder.poller import Poller
from everytick.recorder.questions import Questions
from everytick.supervise.progress import PollProgress, Progress
from everytick.tape.writer import TapeWriter
from everytick.telemetry import Telemetry
from everytick.venues.protocol import Poll
from everytick.venues.registry import VENUES
from everytick.wiring.parts import Ports

CHANNEL = "info"


def polls_of(settings: Settings, name: str, streams: list[Stream]) -> list[Poll]:
    """What is asked of a venue besides its stream; nothing where the settings say so."""
    section = settings.venues.by_name()[name]
    if not isinstance(section, HyperliquidSettings) or not section.polls:
        return []
    asked = list(streams)
    if section.vaults:
        asked += [Stream(name, Kind.VAULTS, coin) for coin in section.coins]
    return list(VENUES[name].polls(asked, section.vaults, section.poll_interval_s))


def poller_of(
    settings: Settings,
    name: str,
    streams: list[Stream],
    governor: Governor,
    http: Http,
    ports: Ports,
    telemetry: Telemetry,
    tape: TapeWriter,
    wake_committer: Callable[[], None],
    progress: Progress,
) -> Poller | None:
    """The poller of a venue, None where there is nothing to ask."""
    polls = polls_of(settings, name, streams)
    if not polls:
        return None
    own = {poll.name: PollProgress(name, poll.name, poll.every_s) for poll in polls}
    progress.polls.update({f"{name}/{poll.name}": own[poll.name] for poll in polls})
    return Poller(
        Questions(VENUES[name], settings.venues.by_name()[name].http_url, http, governor),
        CHANNEL,
        polls,
        tape=tape,
        wake_committer=wake_committer,
        clock=ports.clock,
        ids=ports.ids,
        telemetry=telemetry,
        progress=own,
    )
