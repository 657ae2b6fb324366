"""What the stream says: whose state has changed, by topic. Identifiers only, and none of protected people."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from contracts.registry import INTERNAL, UNIT_RECORDED

MANY = 100
"""More people than that are not named: the reader looks at everything anew."""


EVERYTHING = "everything"
"""The topic of a change that was not heard: whatever it was, the reader looks at everything anew."""


UNITS = INTERNAL[UNIT_RECORDED].topic


class Change(BaseModel):
    """What one commit changed in one organisation; `persons` null means many. Who is `hidden` is not said at all."""

    model_config = ConfigDict(frozen=True)

    organisation: str
    topic: str
    persons: tuple[UUID, ...] | None = ()
    hidden: bool = False

    def among(self, seen: Collection[UUID]) -> "Change | None":
        """Return what is left of it for a reader who sees these people only, or None.

        That many have changed is told, and that units have: they may be the reader's.
        """
        if self.persons is None or self.topic == UNITS:
            return self
        left = tuple(person for person in self.persons if person in seen)
        return self.model_copy(update={"persons": left, "hidden": False}) if left else None

    def shown(self, *, protected: bool) -> dict[str, Any] | None:
        """Return what a reader is told, or None when it is about nobody whom the reader may see.

        Who may see protected people is told to look anew, and that look is audited with its reason; the stream names
        none of them to anybody.
        """
        if self.persons is None or (self.hidden and protected):
            return {"topic": self.topic, "persons": None}
        if self.hidden and not self.persons:
            return None
        return {"topic": self.topic, "persons": [str(person) for person in self.persons]}
