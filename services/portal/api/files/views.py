"""What ingestion answers about files, as far as pages show it. Pure."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from contracts.codes import CaseKind, UnitKind
from services.portal.domain.work import View

MOVING = frozenset({"received", "applying"})


class Progress(View):
    """How many people are planned, and how many are still to be applied."""

    planned: int = 0
    to_apply: int = 0


class FileView(View):
    """A file. State: received, planned, applying, done, refused."""

    id: UUID
    source: str
    kind: str
    records: str = "persons"
    baseline: bool = False
    name: str = ""
    state: str
    actor: str = ""
    made_at: datetime
    uploaded_at: datetime
    finished_at: datetime | None = None
    size: int = 0
    rows: int = 0
    persons: int = 0
    counts: dict[str, int] = Field(default_factory=dict)
    to_apply: dict[str, int] = Field(default_factory=dict)
    progress: Progress = Progress()
    code: str | None = None
    parameters: dict[str, str | int] = Field(default_factory=dict)
    duplicate: bool = False

    @property
    def moves(self) -> bool:
        """Whether something happens by itself."""
        return self.state in MOVING

    @property
    def of_units(self) -> bool:
        """Whether it tells of units and not of people."""
        return self.records == "units"

    @property
    def kinds(self) -> list[str]:
        """What may become of those it tells of."""
        return [kind.value for kind in (UnitKind if self.of_units else CaseKind)]

    @property
    def held(self) -> int:
        """How many people wait for a decision."""
        return self.counts.get("held", 0)

    @property
    def decidable(self) -> bool:
        """Whether those who are held can be released or refused: the rest of the file comes first."""
        return self.state == "done" and self.held > 0

    @property
    def whole(self) -> int:
        """How many people there are to plan, or to apply; 0 while that is not known."""
        if self.state == "applying":
            return self.counts.get("planned", 0) + self.counts.get("applied", 0)
        return self.persons + self.counts.get("missing", 0)

    @property
    def done(self) -> int:
        """How many of them are behind."""
        return self.whole - self.progress.to_apply if self.state == "applying" else self.progress.planned


class Files(View):
    """Files, the newest first; `next` is the last of them when there are more."""

    items: list[FileView]
    next: UUID | None = None


class Planned(View):
    """What a file does to a person."""

    place: int
    external_id: str
    person: UUID | None = None
    state: str
    kind: str | None = None
    reason: str | None = None
    fields: list[str] = Field(default_factory=list)
    missing: bool = False
    announced: bool = False


class People(View):
    """A page of a plan."""

    items: list[Planned]
    next: str | None = None


class RejectView(View):
    """A row that was set aside."""

    row: int
    column: str = ""
    value: str = ""
    code: str
    parameters: dict[str, str | int] = Field(default_factory=dict)


class Rejects(View):
    """Rows that were set aside."""

    items: list[RejectView]
    next: int | None = None
