"""What the stream says: whose state has changed, by topic. Identifiers only; protected people apart."""

from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict

MANY = 100
"""More people than that are not named: the reader looks at everything anew."""


class Change(BaseModel):
    """What one commit changed in one organisation; `persons` and `hidden` null means many."""

    model_config = ConfigDict(frozen=True)

    organisation: str
    topic: str
    persons: tuple[UUID, ...] | None = ()
    hidden: tuple[UUID, ...] | None = ()

    def shown(self, *, protected: bool) -> dict[str, Any] | None:
        """Return what a reader is told, or None when it is about nobody whom the reader may see."""
        if self.persons is None or self.hidden is None:
            return {"topic": self.topic, "persons": None}
        persons = self.persons + self.hidden if protected else self.persons
        if not persons and self.hidden:
            return None
        return {"topic": self.topic, "persons": [str(person) for person in persons]}
