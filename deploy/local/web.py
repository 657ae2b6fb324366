"""What a service and Prometheus have in common: an HTTP door on this machine, and no pid file."""

import http.client
from abc import abstractmethod
from pathlib import Path

from typing_extensions import override

from deploy.local import processes
from deploy.local.server import HOST, ConfigT_co, Server


class WebServer(Server[ConfigT_co]):
    """A server that is found by its folder and an argument of its own, and asked by HTTP."""

    @property
    @abstractmethod
    def mark(self) -> str:
        """An argument on its command line that no other program in its folder has."""

    @property
    @override
    def url(self) -> str:
        return f"http://{HOST}:{self.config.port}"

    @property
    @override
    def pid_file(self) -> Path:
        """Nobody writes it; `pid` looks at the running processes instead."""
        return self.config.folder / "pid"

    @property
    @override
    def pid(self) -> int | None:
        return processes.find(self.config.folder, self.mark)

    def get(self, path: str) -> tuple[int, str]:
        """Return the status and body of an answer.

        Raises:
            OSError: It does not answer.
            http.client.HTTPException: What it answers is not HTTP.
        """
        connection = http.client.HTTPConnection(HOST, self.config.port, timeout=5)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(errors="replace")
        finally:
            connection.close()
