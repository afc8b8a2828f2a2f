"""Every setting: its type, bounds, default and meaning. The documentation and all checks read these lines.

A section is a frozen Struct; a part that owns its settings on a lower floor is only named here. Bounds are wide:
they catch slips (a port of 84200, seconds for milliseconds), they do not second-guess a person.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from everytick.model.secret import Secret, SecretUrl
from everytick.model.stream import Kind
from everytick.recorder.backfill_settings import BackfillSettings
from everytick.serve.alerts.settings import AlertSettings
from everytick.supervise.settings import SuperviseSettings
from everytick.tape.settings import TapeSettings
from everytick.telemetry import LogSettings

# Candle intervals that Hyperliquid offers.
# https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/websocket/subscriptions (read 2026-11)
CandleInterval = Literal[
    "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "8h", "12h", "1d", "3d", "1w", "1M"
]  # fmt: skip

# Candle intervals that Binance offers.
# https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams (read 2026-11)
BinanceInterval = Literal[
    "1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M"
]  # fmt: skip

# Binance's names, in capital letters: BTCUSDT.
Symbol = Annotated[str, Meta(pattern=r"^[A-Z0-9]{2,32}\Z", examples=["BTCUSDT"])]

# Hyperliquid's names: BTC, kPEPE, PURR/USDC, @107 (spot by index), xyz:GOLD (a builder's market).
Coin = Annotated[str, Meta(pattern=r"^[A-Za-z0-9@:/._-]{1,32}\Z", examples=["BTC"])]


# An account at Hyperliquid.
Address = Annotated[str, Meta(pattern=r"^0x[0-9a-fA-F]{40}\Z", examples=["0x0123456789abcdef0123456789abcdef01234567"])]


class DataSettings(msgspec.Struct, frozen=True):
    """Where the tape and the default store live."""

    dir: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=1_000,
            description="Folder of the tape and of the default store; made on first use. Use a local disk.",
        ),
    ] = "./everytick-data"


class StoreSettings(msgspec.Struct, frozen=True):
    """The store: the tape made queryable."""

    url: Annotated[
        SecretUrl,
        Meta(
            description="`sqlite:///file` (four slashes for a path from the root), or "
            "`postgresql://host:5432/database`, with user and password before the host. "
            "Empty: `store.sqlite` in `data.dir`."
        ),
    ] = SecretUrl("")
    standby: Annotated[
        Literal["refuse", "wait"],
        Meta(
            description="What to do when another process writes to the store: end with its name, or record on and "
            "take the store over within ten seconds of that one's end."
        ),
    ] = "refuse"
    allow_unsafe: Annotated[
        bool,
        Meta(
            description="Take a PostgreSQL server that runs with `fsync`, `full_page_writes` or `synchronous_commit` "
            "off: a power cut there can take back or garble what it confirmed."
        ),
    ] = False

    @property
    def kind(self) -> str:
        """What kind of store it is: `sqlite`, `postgresql`."""
        return self.url.reveal().partition(":")[0] or "sqlite"


class ServeSettings(msgspec.Struct, frozen=True):
    """The HTTP API."""

    host: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=253,
            pattern=r"^[A-Za-z0-9.:_-]+\Z",
            examples=["127.0.0.1"],
            description="Address to listen on. Anything but loopback requires `serve.token`.",
        ),
    ] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535, description="Port to listen on; 0 takes any free one.")] = 8420
    token: Annotated[
        Secret,
        Meta(description="Callers must send it as `Authorization: Bearer ...`. Empty: no token is asked for."),
    ] = Secret("")
    control_token: Annotated[
        Secret,
        Meta(description="Opens `POST /halt` and `POST /arm`, and all that `serve.token` opens. Empty: both are shut."),
    ] = Secret("")


class HyperliquidSettings(msgspec.Struct, frozen=True):
    """What is recorded of Hyperliquid."""

    enabled: Annotated[bool, Meta(description="Record this venue.")] = True
    coins: Annotated[
        tuple[Coin, ...],
        Meta(max_length=500, description="Instruments by the venue's own names, case kept: `BTC`, `PURR/USDC`."),
    ] = ("BTC", "ETH")
    streams: Annotated[
        tuple[Kind, ...], Meta(max_length=len(Kind), description="What is recorded of each instrument.")
    ] = (Kind.TRADES, Kind.CANDLES, Kind.QUOTES, Kind.CONTEXTS)
    candle_intervals: Annotated[
        tuple[CandleInterval, ...], Meta(max_length=14, description="Candles of which intervals; used by `candles`.")
    ] = ("1m", "5m")
    ws_url: Annotated[
        str,
        Meta(
            max_length=500,
            pattern=r"^wss?://[^\s@]+\Z",
            examples=["wss://host/path"],
            description="WebSocket address. `ws://` only to loopback.",
        ),
    ] = "wss://api.hyperliquid.xyz/ws"
    http_url: Annotated[
        str,
        Meta(
            max_length=500,
            pattern=r"^https?://[^\s@]+\Z",
            examples=["https://host"],
            description="HTTP address, without a path. `http://` only to loopback.",
        ),
    ] = "https://api.hyperliquid.xyz"

    polls: Annotated[
        bool,
        Meta(
            description="Ask over HTTP too: trades and candles as cross-checks of what is streamed, open interest and "
            "funding of `contexts`, and the positions of `vaults`."
        ),
    ] = True
    poll_interval_s: Annotated[
        int,
        Meta(
            ge=10,
            le=86_400,
            description="Time between two polls of one thing; longer where many instruments would cost more than half "
            "of the venue's allowance.",
        ),
    ] = 60
    vaults: Annotated[
        tuple[Address, ...],
        Meta(
            max_length=100,
            description="Accounts whose position in each of `coins` is recorded, all of them or none at a time, and "
            "served as `/hlp`. The addresses of the venue's own liquidity vaults stand on its page of vaults.",
        ),
    ] = ()

    @property
    def instruments(self) -> tuple[str, ...]:
        """What is recorded, by the venue's own names."""
        return self.coins


class BinanceSettings(msgspec.Struct, frozen=True):
    """What is recorded of Binance's spot market."""

    enabled: Annotated[bool, Meta(description="Record this venue.")] = False
    symbols: Annotated[
        tuple[Symbol, ...],
        Meta(max_length=500, description="Instruments by the venue's own names, in capitals: `BTCUSDT`."),
    ] = ("BTCUSDT", "ETHUSDT")
    streams: Annotated[
        tuple[Kind, ...], Meta(max_length=len(Kind), description="What is recorded of each instrument.")
    ] = (Kind.TRADES, Kind.CANDLES, Kind.QUOTES)
    candle_intervals: Annotated[
        tuple[BinanceInterval, ...], Meta(max_length=16, description="Candles of which intervals; used by `candles`.")
    ] = ("1m", "5m")
    ws_url: Annotated[
        str,
        Meta(
            max_length=500,
            pattern=r"^wss?://[^\s@]+\Z",
            examples=["wss://host/path"],
            description="WebSocket address, ending in `/stream`. `ws://` only to loopback.",
        ),
    ] = "wss://stream.binance.com:9443/stream"
    http_url: Annotated[
        str,
        Meta(
            max_length=500,
            pattern=r"^https?://[^\s@]+\Z",
            examples=["https://host"],
            description="HTTP address, without a path. `http://` only to loopback.",
        ),
    ] = "https://api.binance.com"

    @property
    def instruments(self) -> tuple[str, ...]:
        """What is recorded, by the venue's own names."""
        return self.symbols


VenueSettings: TypeAlias = HyperliquidSettings | BinanceSettings


class VenuesSettings(msgspec.Struct, frozen=True):
    """One section for each venue."""

    hyperliquid: HyperliquidSettings = HyperliquidSettings()
    binance: BinanceSettings = BinanceSettings()

    def by_name(self) -> dict[str, VenueSettings]:
        """Each venue's section by the venue's name."""
        return {"hyperliquid": self.hyperliquid, "binance": self.binance}


class TradingSettings(msgspec.Struct, frozen=True):
    """The kill switch: the last gate before an order, also read by other programs from `/health` and `/trading`."""

    enabled: Annotated[
        bool,
        Meta(
            description="Kill switch at the start: `false` halts trading, also if it was armed; `true` does not arm "
            "what was halted. At run time: `everytick halt`, `everytick arm`. "
            "In the environment exactly `1` is on and anything else is off."
        ),
    ] = True


class HealthSettings(msgspec.Struct, frozen=True):
    """How the outside sees this process."""

    external_url: Annotated[
        str,
        Meta(
            max_length=500,
            pattern=r"^(https?://[^\s@]+)?\Z",
            examples=["https://host"],
            description="Public address of this process, as a hosting platform names it.",
        ),
    ] = ""


class Settings(msgspec.Struct, frozen=True):
    """All settings of one process, checked."""

    data: DataSettings = DataSettings()
    tape: TapeSettings = TapeSettings()
    store: StoreSettings = StoreSettings()
    serve: ServeSettings = ServeSettings()
    venues: VenuesSettings = VenuesSettings()
    backfill: BackfillSettings = BackfillSettings()
    log: LogSettings = LogSettings()
    alerts: AlertSettings = AlertSettings()
    trading: TradingSettings = TradingSettings()
    health: HealthSettings = HealthSettings()
    supervise: SuperviseSettings = SuperviseSettings()


# Names without our prefix that stay valid: hosting platforms and older set-ups give them.
PLAIN_NAMES: dict[str, str] = {
    "DATABASE_URL": "store.url",
    "DISCORD_WEBHOOK_URL": "alerts.discord_webhook_url",
    "TRADING_ENABLED": "trading.enabled",
    "RENDER_EXTERNAL_URL": "health.external_url",
}

# The meaning of settings whose part says it in comments rather than in its types.
MEANINGS: dict[str, str] = {
    "tape.segment_bytes_max": "A segment file is closed, and the next one begun, at this size.",
    "tape.block_bytes_max": "Frames that are committed together, in bytes before compression.",
    "tape.commit_interval_min_s": "Least time between two commits; 0 commits as soon as the last one is done.",
    "tape.backlog_bytes_max": "Frames that may wait for the disk; beyond it reading from the venues is paused.",
    "tape.tail_bytes_max": "Newest frames kept decoded for readers in the same process.",
    "tape.zstd_level": "Compression level of blocks.",
}
