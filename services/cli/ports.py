"""What the commands need from outside: the services' APIs and a place to show things."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from rich.console import RenderableType

JsonObject = dict[str, Any]


class Api(Protocol):
    """One service's HTTP API. Every method raises ApiProblem, Unreachable or TokenMissing."""

    def get(self, path: str, **parameters: object) -> JsonObject:
        """Return the answer to a GET."""
        ...

    def post(self, path: str, body: Mapping[str, Any], *, key: str | None = None) -> JsonObject:
        """Return the answer to a POST; `key` makes it idempotent."""
        ...

    def post_batch(self, path: str, events: Sequence[Mapping[str, Any]]) -> list[JsonObject]:
        """Send a batch of CloudEvents and return the verdict on each, in order."""
        ...

    def upload(self, path: str, content: Iterable[bytes], **parameters: str | None) -> JsonObject:
        """Send a file as it is read."""
        ...

    def download(self, path: str, **parameters: str) -> bytes:
        """Return a file."""
        ...


class Screen(Protocol):
    """Where answers are shown."""

    def show(self, *parts: RenderableType) -> None:
        """Show something to a person."""
        ...

    def data(self, value: object) -> None:
        """Write an answer as JSON, for a program."""
        ...
