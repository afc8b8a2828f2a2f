"""The program as shipped, at DEBUG, in trouble, with a canary for every secret it can be given, seen from outside."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import urllib.error
import urllib.request
from pathlib import Path

from everytick.config.fields import walk
from everytick.host.disk import FolderDisk
from everytick.sim.hyperliquid import HyperliquidSim
from everytick.sim.hyperliquid.traits import VenueTraits
from everytick.sim.market import MarketTraits
from everytick.tape.reader import TapeReader
from tests.security.canaries import Search, canaries
from tests.serve.loopback import HttpTaker, MailTaker, http_taker, mail_taker

ROUTES = (
    "/",
    "/health",
    "/livez",
    "/readyz",
    "/stats",
    "/streams",
    "/metrics",
    "/gaps",
    "/quarantine",
    "/openapi.json",
)


def environment(folder: Path, ws_url: str, taker: HttpTaker, mail: MailTaker, secrets: list[str]) -> dict[str, str]:
    """Every secret setting holds a canary; each channel fails in its own way, quoting canaries back."""
    given = iter(secrets)
    token_file = folder / "token"
    token_file.write_text(next(given) + "\n")
    known = {
        "EVERYTICK_SERVE__TOKEN_FILE": str(token_file),
        "EVERYTICK_SERVE__CONTROL_TOKEN": next(given),
        "DISCORD_WEBHOOK_URL": f"{taker.url}/api/webhooks/1234/{next(given)}",
        "EVERYTICK_ALERTS__TELEGRAM_TOKEN": f"123456:{next(given)}",
        "EVERYTICK_ALERTS__TELEGRAM_CHAT": "-100",
        "EVERYTICK_ALERTS__TELEGRAM_URL": "http://127.0.0.1:9",
        "EVERYTICK_ALERTS__WEBHOOK_URL": f"{taker.url}/hook?key={next(given)}",
        "EVERYTICK_ALERTS__WEBHOOK_KEY": next(given),
        "EVERYTICK_ALERTS__MAIL_URL": f"smtp://{next(given)}:{next(given)}@127.0.0.1:{mail.port}",
        "EVERYTICK_ALERTS__MAIL_FROM": "everytick@example.org",
        "EVERYTICK_ALERTS__MAIL_TO": "ops@example.org",
        "EVERYTICK_ALERTS__DEAD_MAN_URL": f"http://127.0.0.1:9/{next(given)}",
    }
    # A secret that this test does not name yet is given a canary all the same.
    named = {name.removesuffix("_FILE") for name in known} | {"EVERYTICK_ALERTS__DISCORD_WEBHOOK_URL"}
    for setting in walk():
        if setting.is_secret and setting.env not in named and setting.path != "store.url":
            known[setting.env] = next(given)
    base = {name: value for name, value in os.environ.items() if not name.startswith("EVERYTICK_")}
    return {
        **base,
        **known,
        "RENDER_EXTERNAL_URL": "http://127.0.0.1:9",
        "EVERYTICK_DATA__DIR": str(folder / "data"),
        "EVERYTICK_SERVE__PORT": "0",
        "EVERYTICK_VENUES__HYPERLIQUID__WS_URL": ws_url,
        "EVERYTICK_VENUES__HYPERLIQUID__HTTP_URL": "http://127.0.0.1:9",
        "EVERYTICK_VENUES__HYPERLIQUID__COINS": "BTC",
        "EVERYTICK_VENUES__HYPERLIQUID__STREAMS": "trades",
        "EVERYTICK_LOG__LEVEL": "debug",
        "EVERYTICK_LOG__FORMAT": "json",
        "PYTHONASYNCIODEBUG": "1",
        "PYTHONDEVMODE": "1",
    }


async def everytick(world: dict[str, str], *words: str) -> asyncio.subprocess.Process:
    """The program, as a shell starts it."""
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "everytick", *words, env=world, stdout=pipe, stderr=pipe
    )


def ask(url: str, headers: dict[str, str]) -> bytes:
    """An answer with its headers, whatever its status."""
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return bytes(answer.headers) + answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return bytes(error.headers) + error.read()


async def interrogate(address: str, tokens: list[str], secrets: list[str]) -> list[bytes]:
    """Ask every route with good tokens and, as tokens of every kind, with canaries."""
    answers = []
    for route in ROUTES:
        for token in (*tokens, secrets[0]):
            answers.append(await asyncio.to_thread(ask, address + route, {"Authorization": f"Bearer {token}"}))
    good = {"Authorization": f"Bearer {tokens[0]}"}
    for number, secret in enumerate(secrets):
        headers = {"Cookie": f"session={secret}", "X-Api-Key": secret} | (good if number % 2 else {})
        question = ("token", "api_key", "password", "access_token", "secret")[number % 5]
        answers.append(await asyncio.to_thread(ask, f"{address}/trades?{question}={secret}", headers))
    return answers


async def until_listening(process: asyncio.subprocess.Process, seen: bytearray) -> str:
    """The API's address, from what the program says on stdout."""
    assert process.stdout is not None
    while line := await process.stdout.readline():
        seen += line
        if b"API at " in line:
            return line.decode().partition("API at ")[2].partition(";")[0].strip()
    raise AssertionError(
        f"the program did not start: {seen!r} {await process.stderr.read() if process.stderr else b''!r}"
    )


async def observed(folder: Path, secrets: list[str], taker: HttpTaker, mail: MailTaker) -> dict[str, bytes]:
    """Everything that came out, by where."""
    sim = HyperliquidSim(VenueTraits(), seed=3, market=MarketTraits(coins=("BTC",), trades_per_s=100))
    await sim.start()
    world = environment(folder, sim.ws_url, taker, mail, secrets)
    process = await everytick(world, "run")
    said, out = bytearray(), {}
    try:
        address = await until_listening(process, said)
        await asyncio.sleep(1)  # a real program: outages, failing channels and pings take real time
        tokens = [secrets[0], world["EVERYTICK_SERVE__CONTROL_TOKEN"]]
        answers = await interrogate(address, tokens, secrets[20:])
        out["answers"] = b"\n".join(answers)
        process.send_signal(signal.SIGUSR1)
        await asyncio.sleep(1)
        arguments = Path(f"/proc/{process.pid}/cmdline")
        out["arguments"] = arguments.read_bytes() if arguments.exists() else b""
        process.send_signal(signal.SIGTERM)
        rest, errors = await asyncio.wait_for(process.communicate(), 30)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        await sim.stop()
    out |= {"stdout": bytes(said) + rest, "stderr": errors}
    for words in (("config", "show"), ("config", "check"), ("config", "show", "--json"), ("alerts", "list", "--json")):
        other = await everytick(world, *words)
        out[" ".join(words)] = b"".join(await asyncio.wait_for(other.communicate(), 30))
    out |= await _other_ways(world, secrets)
    for path in (folder / "data").rglob("*"):
        if path.is_file():
            out[str(path.relative_to(folder))] = path.read_bytes()
    tape = TapeReader(FolderDisk(folder / "data" / "tape"))
    out["tape"] = b"\n".join(frame.payload for frame in tape.read(0, 1_000_000, tape.end()))
    return out


async def _other_ways(world: dict[str, str], secrets: list[str]) -> dict[str, bytes]:
    """Settings that are wrong, commands that fail, and a store that nobody can reach."""
    out = {}
    broken = {
        "a database away": {"DATABASE_URL": f"postgresql://{secrets[30]}:{secrets[31]}@127.0.0.1:9/ticks"},
        "a database misspelt": {"DATABASE_URL": f"postgressql:/u:{secrets[32]}@db/ticks"},
        "a password for an address": {"DATABASE_URL": secrets[33]},
        "a token too short": {"EVERYTICK_SERVE__TOKEN": secrets[34][:9], "EVERYTICK_SERVE__TOKEN_FILE": ""},
        "a name mistyped": {"EVERYTICK_SERVE__TOKN": secrets[35]},
    }
    for name, change in broken.items():
        trials = (("config", "check"), ("gaps",), ("run", "--for", "1s"))
        for words in trials if name == "a database away" else trials[:1]:
            there = {key: value for key, value in {**world, **change}.items() if value}
            process = await everytick(there, *words)
            with contextlib.suppress(TimeoutError):
                out[f"{name}: {words}"] = b"".join(await asyncio.wait_for(process.communicate(), 30))
            if process.returncode is None:
                process.kill()
                await process.wait()
    return out


def test_no_canary_comes_out_of_the_program_in_trouble(tmp_path: Path) -> None:
    secrets = canaries(100, 7)
    with http_taker() as taker, mail_taker("535") as mail:
        taker.answers = [(500, {"X-Echo": secrets[3]}, " ".join(secrets).encode())]
        out = asyncio.run(observed(tmp_path, secrets, taker, mail))
    search = Search(secrets)
    found = {place: search.found(text) for place, text in out.items()}
    assert {place: hits for place, hits in found.items() if hits} == {}
    # The run was one in trouble, and something was there to be found.
    lines = [json.loads(line) for line in out["stderr"].splitlines() if line.startswith(b"{")]
    facts = {line["fact"] for line in lines}
    assert {"alert_raised", "alert_not_sent", "ping_failed", "connection_up"} <= facts, facts
    assert len(taker.asked) > 1
    assert any("AUTH" in line for line in mail.said)
    for asked in taker.asked:
        assert search.found(asked.body) == set()
    assert any(name.endswith("stacks.txt") for name in out)
    assert out["tape"]
