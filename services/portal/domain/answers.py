"""What an API answered, or why it did not, as a part of a page. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T_co = TypeVar("T_co", covariant=True)


class Unreachable(Exception):
    """No answer from a service, or none in time."""


class TokenRefused(Exception):
    """A service takes neither the token nor a newer one: whoever it is must sign in again."""


class Refused(Exception):
    """A problem that a service answered with (RFC 9457)."""

    def __init__(
        self,
        status: int,
        code: str,
        title: str,
        detail: str | None = None,
        errors: Mapping[str, str] | None = None,
        *,
        matches: int | None = None,
        codes: Sequence[str] = (),
        outcomes: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.title = title
        self.detail = detail
        self.errors = dict(errors or {})
        self.matches = matches
        self.codes = tuple(codes)
        self.outcomes = dict(outcomes or {})


@dataclass(frozen=True)
class Trouble:
    """Why a part is not there, or a change not made; `matches`: a number to confirm, `codes`: what is wrong in fields.

    `outcomes`: what became of it in each target, where that is told.
    `kind`: down, denied, missing, refused, or unknown: it may have been done, for no answer came in time.
    """

    kind: str
    service: str
    code: str
    title: str = ""
    detail: str | None = None
    errors: Mapping[str, str] = field(default_factory=dict)
    matches: int | None = None
    codes: tuple[str, ...] = ()
    outcomes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Part(Generic[T_co]):
    """A part of a page: what it shows, or why it cannot."""

    value: T_co | None
    trouble: Trouble | None = None


def trouble_of(refused: Refused, service: str) -> Trouble:
    """Return what a person is told of a problem."""
    kinds = {403: "denied", 404: "missing"}
    kind = kinds.get(refused.status, "down" if refused.status >= 500 else "refused")
    return Trouble(
        kind,
        service,
        refused.code,
        refused.title,
        refused.detail,
        refused.errors,
        refused.matches,
        refused.codes,
        refused.outcomes,
    )
