"""Recordings are read without loss, and reconnects are told from live frames."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everytick.errors import Refused
from everytick.sim.prints import Print, trades_frame
from everytick.sim.recordings import Recording, TimedFrame, parse_message, read_recording, split_lives

HEADER = "timestamp,price,size,side,trade_id,exchange_timestamp\n"
S, MS = 1_000_000_000, 1_000_000


def frame(ts_ns: int, times_ms: list[int], first_tid: int = 0, coin: str = "BTC") -> TimedFrame:
    trades = tuple(Print(coin, "B", "1.0", "2.0", t, first_tid + i) for i, t in enumerate(times_ms))
    return TimedFrame(ts_ns, "trades", coin, trades)


def lives_of(frames: list[TimedFrame]) -> list[int]:
    return [len(life) for life in split_lives(frames)]


@pytest.mark.recordings
@pytest.mark.parametrize(
    ("coin", "rows", "replay_row", "shared"), [("BTC", 6675, 1424, 0), ("ETH", 6884, 1389, 17), ("WLFI", 2563, 655, 8)]
)
def test_the_real_outage_is_found_in_each_coin_and_nothing_else(
    data_dir: Path, coin: str, rows: int, replay_row: int, shared: int
) -> None:
    recording = read_recording(data_dir / f"djienne_20250904_trades_{coin}.csv")
    assert recording.coins == (coin,)
    before, after = ([trade for frame in life for trade in frame.trades] for life in recording.lives)
    assert (len(before) + len(after), len(before)) == (rows, replay_row)
    assert len(recording.lives[0][0].trades) == len(recording.lives[1][0].trades) == 30
    assert len({t.key for t in before} & {t.key for t in after[:30]}) == shared


@pytest.mark.recordings
def test_the_raw_recording_is_one_life_with_its_bytes_untouched(data_dir: Path) -> None:
    path = data_dir / "hftbacktest_btcusd_20250126.gz"
    recording = read_recording(path)
    assert [len(life) for life in recording.lives] == [55]
    assert recording.keys == (("l2Book", "BTC", ""), ("trades", "BTC", ""))
    lines = gzip.decompress(path.read_bytes()).splitlines()
    assert [b"%d %s" % (f.ts_ns, f.payload) for f in recording.lives[0]] == lines


@pytest.mark.parametrize("zipped", [False, True])
def test_rows_that_share_a_timestamp_are_one_frame_and_values_keep_their_spelling(tmp_path: Path, zipped: bool) -> None:
    text = (
        HEADER
        + "1757015216.6738,109741.0,0.91116,buy,833120162794147,1757015209306\n"
        + "1757015216.6738,109742.0,1e-05,sell,10862554098870,1757015209307\n"
        + "1757015217.0,109742.5,3.0,sell,7,1757015209307\n"
    )
    path = tmp_path / ("x_trades_kPEPE.csv" + (".gz" if zipped else ""))
    path.write_bytes(gzip.compress(text.encode()) if zipped else text.encode())
    (life,) = read_recording(path).lives
    assert [f.ts_ns for f in life] == [1757015216_673_800_000, 1757015217 * S]
    assert life[0].trades == (
        Print("kPEPE", "B", "109741.0", "0.91116", 1757015209306, 833120162794147),
        Print("kPEPE", "A", "109742.0", "0.00001", 1757015209307, 10862554098870),
    )


@pytest.mark.parametrize(
    ("name", "text", "where"),
    [
        ("x_trades_BTC.csv", HEADER + "1.0,1.0,1.0,buy,1,1\n1.0,1.0,1.0,bought,1,1\n", "x_trades_BTC.csv:3"),
        ("x_trades_BTC.csv", HEADER + "1.0,NaN,1.0,buy,1,1\n", "x_trades_BTC.csv:2"),
        ("x_trades_BTC.csv", HEADER + "1.0,1.0,1.0,buy,1\n", "x_trades_BTC.csv:2"),
        ("nameless.csv", HEADER, "nameless.csv"),
        ("raw.txt", '1 {"channel":"pong"}\n2 {"channel":\n', "raw.txt:2"),
        ("raw.txt", "hello\n", "raw.txt:1"),
    ],
)
def test_a_line_that_cannot_be_read_is_refused_by_its_number(tmp_path: Path, name: str, text: str, where: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(Refused) as refused:
        read_recording(tmp_path / name)
    assert where in str(refused.value)


def test_a_file_that_is_not_there_or_cut_short_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"1 {}" * 1000)[:30])
    for name in ("absent", "cut.gz"):
        with pytest.raises(Refused, match=name):
            read_recording(tmp_path / name)


OLD = frame(1000 * S, [995_000 + i * 100 for i in range(30)])  # the first frame of a file


def test_a_replay_is_told_by_age_and_span_or_by_a_trade_seen_before() -> None:
    far = [1_003_000 + i * 400 for i in range(30)]
    assert lives_of([OLD, frame(1020 * S, far, 100)]) == [1, 1]
    # It repeats trades that were seen: recent and narrow, and still a replay.
    repeated = TimedFrame(1002 * S, "trades", "BTC", OLD.trades)
    assert lives_of([OLD, repeated]) == [1, 1]


def test_live_frames_of_thirty_late_frames_and_repeats_without_silence_are_no_reconnect() -> None:
    one_block = frame(1020 * S, [1_019_700] * 30, 100)
    late_by_three = frame(1021 * S, [1_018_000] * 30, 200)
    late_block = frame(1040 * S, [1_020_000] * 30, 300)
    twenty_nine = frame(1060 * S, [1_043_000 + i * 400 for i in range(29)], 400)
    descending = frame(1080 * S, [1_074_000 - i * 400 for i in range(30)], 500)
    assert lives_of([OLD, one_block, late_by_three, late_block, twenty_nine, descending]) == [6]
    again_at_once = TimedFrame(1000 * S + 50 * MS, "trades", "BTC", OLD.trades)
    assert lives_of([OLD, again_at_once]) == [2]


def test_one_reconnect_of_several_coins_on_one_line_is_one_new_life() -> None:
    frames = [
        frame(1000 * S, [990_000 + i * 100 for i in range(30)], 0, "BTC"),
        frame(1000 * S + 5, [980_000 + i * 500 for i in range(30)], 0, "ETH"),
        frame(1001 * S, [1_000_900], 50, "BTC"),
        frame(1020 * S, [1_003_000 + i * 400 for i in range(30)], 100, "BTC"),
        frame(1020 * S + 5, [1_003_000 + i * 400 for i in range(30)], 100, "ETH"),
        frame(1021 * S, [1_020_900], 200, "ETH"),
    ]
    assert lives_of(frames) == [3, 3]


_prints = st.builds(
    Print,
    coin=st.just("BTC"),
    side=st.sampled_from("AB"),
    px=st.decimals(1, 10**6, places=5).map(str),
    sz=st.decimals(0, 10**6, places=5).map(str),
    time_ms=st.integers(0, 2**43),
    tid=st.integers(0, 2**50 - 1),
)


@given(st.lists(_prints, min_size=1, max_size=5))
def test_trades_written_as_a_message_read_back_the_same(trades: list[Print]) -> None:
    message = trades_frame(trades)
    assert parse_message(1, message) == TimedFrame(1, "trades", "BTC", tuple(trades), message)


def test_an_empty_recording_has_no_lives() -> None:
    assert Recording("x", True, split_lives([])).coins == ()
