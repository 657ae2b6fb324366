"""An installation under supervisor: its configuration is generated and lies in the installation's folder."""

import subprocess
import sys
import time
from pathlib import Path

from deploy.local import processes
from deploy.local.installation import Installation
from deploy.local.server import BASE_ENVIRONMENT, Server, ServerConfig, ServerFailedError, write_private


class Supervision:
    """Runs an installation's servers and services under supervisor, which restarts whatever ends."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._folder = installation.folder
        self._configuration = self._folder / "supervisord.conf"
        self._pid_file = self._folder / "supervisord.pid"

    @property
    def running(self) -> bool:
        """Whether our supervisor runs."""
        try:
            pid = int(self._pid_file.read_text())
        except (OSError, ValueError):
            return False
        return processes.runs_in(pid, self._folder)

    def launch(self) -> None:
        """Start the supervisor, which starts nothing by itself; when it runs, only tell it of programs that are new.

        Raises:
            ServerFailedError: It did not come up.
        """
        if self.running:
            self._add_new()
            return
        write_private(self._configuration, self._render())
        argv = [sys.executable, "-m", "supervisor.supervisord", "-c", str(self._configuration)]
        done = subprocess.run(
            argv,
            cwd=self._folder,
            env={**BASE_ENVIRONMENT, "HOME": str(self._folder)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        deadline = time.monotonic() + 10
        while not (self.running and (self._folder / "supervisor.sock").exists()):
            if done.returncode != 0 or time.monotonic() > deadline:
                message = f"supervisord did not come up:\n{done.stdout}{done.stderr}"
                raise ServerFailedError(message)
            time.sleep(0.05)

    def _add_new(self) -> None:
        known = {line.split()[0] for line in self.status().splitlines() if line.split()}
        new = [server.name for server in self._installation.servers if server.name not in known]
        if new:
            write_private(self._configuration, self._render())
            self.control("reread")
            self.control("add", *new)

    def start(self, *names: str) -> None:
        """Start programs; those that run already stay as they are."""
        self.control("start", *names)

    def stop(self, *names: str) -> None:
        """Stop programs and keep them stopped."""
        self.control("stop", *names)

    def status(self) -> str:
        """Give a line for each program."""
        return self.control("status")

    def all_running(self) -> bool:
        """Say whether every program runs."""
        lines = self.status().splitlines() if self.running else []
        return bool(lines) and all(" RUNNING " in line for line in lines)

    def shut_down(self) -> None:
        """Stop the supervisor and everything it runs, and whatever a killed supervisor has left behind."""
        if self.running:
            self.control("shutdown")
            deadline = time.monotonic() + 60
            while self.running and time.monotonic() < deadline:
                time.sleep(0.05)
        for process in (*self._installation.services.values(), *self._installation.servers):
            process.stop()

    def control(self, *arguments: str) -> str:
        """Run supervisorctl and give its output."""
        argv = [sys.executable, "-m", "supervisor.supervisorctl", "-c", str(self._configuration), *arguments]
        done = subprocess.run(
            argv, cwd=self._folder, env=dict(BASE_ENVIRONMENT), capture_output=True, text=True, check=False
        )
        return done.stdout + done.stderr

    def _render(self) -> str:
        parts = [self._head()]
        parts += [self._program(server.name, server) for server in self._installation.servers]
        parts += [self._program(name, service) for name, service in self._installation.services.items()]
        return "\n".join(parts)

    def _head(self) -> str:
        folder = _escaped(str(self._folder))
        return f"""[supervisord]
logfile={folder}/log/supervisord.log
logfile_maxbytes=5MB
logfile_backups=1
pidfile={_escaped(str(self._pid_file))}
childlogdir={folder}/log
{_run_as_root()}
[unix_http_server]
file={folder}/supervisor.sock
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl=unix://{folder}/supervisor.sock
"""

    def _program(self, name: str, server: Server[ServerConfig]) -> str:
        # Only the main process is asked to stop: RabbitMQ's helpers must outlive it. What is left is killed as a group.
        command = " ".join(f'"{_escaped(part)}"' for part in server.command())
        variables = ",".join(f'{key}="{_escaped(value)}"' for key, value in server.environment().items())
        return f"""[program:{name}]
command={command}
directory={_escaped(str(server.config.folder))}
environment={variables}
autostart=false
autorestart=true
startsecs=1
startretries=100
stopsignal={server.stop_signal.name.removeprefix("SIG")}
stopwaitsecs=30
stopasgroup=false
killasgroup=true
redirect_stderr=true
stdout_logfile={_escaped(str(server.log))}
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=2
"""


def _escaped(text: str) -> str:
    return text.replace("%", "%%")


def _run_as_root() -> str:
    return "user=root\n" if Path("/proc/self").stat().st_uid == 0 else ""
