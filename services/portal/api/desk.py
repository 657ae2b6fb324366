"""What a desk is: a folder with routes and templates, a place in the navigation, and the right it needs."""

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import APIRouter

from services.kernel.security import READ_OWN


@dataclass(frozen=True)
class Desk:
    """One desk.

    Args:
        key: Its name in the navigation, the folder of its templates.
        path: Where it begins.
        title: What it is called, as a message of the catalogues.
        icon: A symbol of `static/icons.svg`.
        scope: The right without which it is not shown; narrowed to the own units it will do where `own` says so.
        router: Its routes.
    """

    key: str
    path: str
    title: str
    icon: str
    scope: str
    router: APIRouter
    own: bool = False

    @property
    def scopes(self) -> tuple[str, ...]:
        """The rights that open it, each by itself."""
        return (self.scope, READ_OWN[self.scope]) if self.own else (self.scope,)


def visible(desks: Sequence[Desk], scopes: frozenset[str]) -> list[Desk]:
    """Return the desks that somebody may open."""
    return [desk for desk in desks if not scopes.isdisjoint(desk.scopes)]
