"""What can go wrong between the command and the services, as facts that can be shown."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class WrongField:
    """One field that is wrong: JSON pointer, code and reason."""

    field: str
    code: str
    reason: str


@dataclass
class ApiProblem(Exception):
    """A service answered with a problem (RFC 9457); `matches`: what a command concerns, to be confirmed."""

    status: int
    code: str
    title: str
    detail: str | None = None
    errors: list[WrongField] = field(default_factory=list)
    matches: int | None = None


@dataclass
class Unreachable(Exception):
    """A service could not be reached at all."""

    url: str


class TokenMissing(Exception):
    """There is no token to show to the services."""
