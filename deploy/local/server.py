"""What all private servers have in common: prepare, start, stop, kill, pause, and wait until they answer."""

import os
import shutil
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Generic, TypeVar

from deploy.local import processes

HOST = "127.0.0.1"
BASE_ENVIRONMENT: Mapping[str, str] = MappingProxyType(
    {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
)


class ServerFailedError(RuntimeError):
    """A server did not come up, or ended early; the message holds the tail of its log."""


class ServerMissingError(RuntimeError):
    """A server's program is not installed; the message says which package brings it."""


@dataclass(frozen=True, kw_only=True)
class ServerConfig:
    """Where a server keeps its things and where it listens.

    Attributes:
        folder: The server's own folder: configuration and data. Made by `prepare`, deleted by `wipe`.
        port: The TCP port on 127.0.0.1.
        log: What it writes to stdout and stderr; by default `server.log` in its folder.
    """

    folder: Path
    port: int
    log: Path | None = None


ConfigT_co = TypeVar("ConfigT_co", bound=ServerConfig, covariant=True)


class Server(ABC, Generic[ConfigT_co]):
    """A private server, run by a supervisor from `command` and `environment`, or by `start` as our own child.

    `pid`, `kill9`, `pause` and `resume` find the process in both cases: our own child, or the pid in the server's file.
    """

    name: ClassVar[str]
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    start_seconds: ClassVar[float] = 60.0
    stop_seconds: ClassVar[float] = 30.0

    def __init__(self, config: ConfigT_co) -> None:
        self.config = config
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def prepare(self) -> None:
        """Write the configuration and make the data folder if there is none. Safe to repeat.

        Raises:
            ServerMissingError: The server is not installed.
            ServerFailedError: Its data could not be made.
        """

    @abstractmethod
    def command(self) -> list[str]:
        """Say what to run, in the foreground, with the server's folder as working folder."""

    @abstractmethod
    def ready(self) -> bool:
        """Say whether the server completes a real handshake of its protocol now."""

    @property
    @abstractmethod
    def url(self) -> str:
        """How a client reaches it, credentials included where the protocol's URLs carry them."""

    @property
    @abstractmethod
    def pid_file(self) -> Path:
        """The file in which the running server writes its pid."""

    @property
    def address(self) -> str:
        """The address that it listens on."""
        return HOST

    def environment(self) -> dict[str, str]:
        """Give the whole environment that `command` runs with."""
        return {**BASE_ENVIRONMENT, "HOME": str(self.config.folder)}

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return self.config.log or self.config.folder / "server.log"

    @property
    def pid(self) -> int | None:
        """The pid of the server's main process, or None when it does not run."""
        if self._process is not None and self._process.poll() is None and processes.alive(self._process.pid):
            return self._process.pid
        try:
            pid = int(self.pid_file.read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return None
        return pid if processes.runs_in(pid, self.config.folder) else None

    def start(self) -> None:
        """Start as our own child and wait until it is ready; do nothing when it already runs.

        Raises:
            ServerMissingError: It is not installed.
            ServerFailedError: It ended, or was not ready in time; with the tail of its log. Nothing is left running.
        """
        if self.pid is not None:
            return
        self.launch()
        try:
            self.wait_ready()
        except BaseException:
            self.kill9()
            raise

    def launch(self) -> None:
        """Start as our own child and do not wait; do nothing when it already runs.

        Raises:
            ServerMissingError: It is not installed.
            ServerFailedError: Something else listens on its port.
        """
        if self.pid is not None:
            return
        if listens(self.config.port, self.address):
            message = f"{self.name} cannot start: something else listens on port {self.config.port}"
            raise ServerFailedError(message)
        self.prepare()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self.command(),
                env=self.environment(),
                cwd=self.config.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_ready(self, seconds: float | None = None) -> None:
        """Wait until the server is ready.

        Raises:
            ServerFailedError: Our child ended, or the deadline passed; with the tail of its log.
        """
        deadline = time.monotonic() + (self.start_seconds if seconds is None else seconds)
        while not self.ready():
            if self._process is not None and self._process.poll() is not None:
                raise self._failure(f"ended with status {self._process.returncode}")
            if time.monotonic() > deadline:
                raise self._failure("was not ready in time")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop cleanly; kill when it takes too long. Do nothing when it does not run."""
        if (pid := self.pid) is not None:
            processes.signal_tree(pid, signal.SIGCONT)
            with suppress(ProcessLookupError):
                os.kill(pid, self.stop_signal)
            if not self._gone(pid, self.stop_seconds):
                processes.kill_tree(pid)
        self._reap()
        self._after_end()

    def kill9(self) -> None:
        """Kill the server and all its children with SIGKILL, wherever it was started from."""
        if (pid := self.pid) is not None:
            processes.kill_tree(pid)
        # Under a supervisor the next one may be starting already: leave alone what it shares with the dead one.
        ours = self._process is not None
        self._reap()
        if ours:
            self._after_end()

    def pause(self) -> None:
        """Freeze the server and its children: connections stay open and nothing answers."""
        if (pid := self.pid) is not None:
            processes.signal_tree(pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen server go on."""
        if (pid := self.pid) is not None:
            processes.signal_tree(pid, signal.SIGCONT)

    def restart(self) -> None:
        """Stop cleanly and start again."""
        self.stop()
        self.start()

    def wipe(self) -> None:
        """Delete the server's whole folder.

        Raises:
            ServerFailedError: It still runs.
        """
        self._refuse_while_running()
        shutil.rmtree(self.config.folder, ignore_errors=True)

    def log_tail(self, lines: int = 25) -> str:
        """Give the last lines of the server's log."""
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return "(no log)"

    def _after_end(self) -> None:
        """Tidy up what outlives the server's own processes."""

    def _refuse_while_running(self) -> None:
        if self.pid is not None:
            message = f"{self.name} still runs"
            raise ServerFailedError(message)

    def _failure(self, what: str) -> ServerFailedError:
        return ServerFailedError(f"{self.name} on port {self.config.port} {what}; its log ends:\n{self.log_tail()}")

    def _run(self, argv: list[str], stdin: str = "") -> str:
        """Run one of the server's own tools to its end; return its output."""
        done = subprocess.run(
            argv,
            input=stdin,
            env=self.environment(),
            cwd=self.config.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            message = f"{argv[0]} ended with status {done.returncode}:\n{done.stdout}{done.stderr}"
            raise ServerFailedError(message)
        return done.stdout

    def _gone(self, pid: int, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while processes.alive(pid):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def _reap(self) -> None:
        if self._process is not None:
            self._process.wait()
            self._process = None


def listens(port: int, address: str = HOST) -> bool:
    """Say whether something accepts connections on this port of an address of this machine."""
    with socket.socket() as link:
        link.settimeout(1)
        return link.connect_ex((address, port)) == 0


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(text)
