"""What may be written in a target at all; each service wraps its adapters so that nothing is written past it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from services.kernel.failures import Waiting


class Withheld(Waiting):
    """The gate lets nothing be written here: a dry run, a target for reading, outside its subtrees, not live yet."""


class Mode(StrEnum):
    """What may be done in a target: `dry_run` tells what would be written, `read_only` that it belongs to others."""

    WRITE = "write"
    DRY_RUN = "dry_run"
    READ_ONLY = "read_only"


@dataclass(frozen=True)
class Rules:
    """Where a target may be written.

    `subtrees`: only below one of these (distinguished names), when there are any. `places`: where what is new of each
    organisation is made.
    """

    mode: Mode = Mode.WRITE
    subtrees: tuple[str, ...] = ()
    places: Mapping[str, str] | None = None

    def admit(self, action: str, place: str | None) -> None:
        """Let a write to what stands at a place through.

        Raises:
            Withheld: The target is for reading, this is a dry run, the place lies elsewhere.
        """
        if self.mode is not Mode.WRITE:
            raise Withheld(f"target.{self.mode}", action=action)
        if self.subtrees and not any(_below(place, subtree) for subtree in self.subtrees):
            raise Withheld("target.outside", action=action)


def _below(place: str | None, subtree: str) -> bool:
    """Compare distinguished names as directories do, but for escapes that nobody has in a base (RFC 4514)."""
    return place is not None and f",{_plain(place)}".endswith(f",{_plain(subtree)}")


def _plain(name: str) -> str:
    return ",".join(part.strip() for part in name.casefold().split(","))
