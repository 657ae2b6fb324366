"""A person's dossier without a database: say facts at business instants, look at the revisions."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

import orjson

from contracts.registry import parse_hr_event
from services.ingestion.domain.access import SOURCE, AccessDecided, Action
from services.ingestion.domain.dossier import Dossier, Instant, Revision, reach, tell
from services.ingestion.domain.facts import Fact
from services.ingestion.domain.projection import NAMESPACE, Organisation
from services.ingestion.domain.rules import Place
from services.ingestion.domain.state import PersonState, fold, fold_all
from services.ingestion.handlers.reception import person_fact

ZONE = ZoneInfo("Europe/Stockholm")
ALVSUND = Organisation("alvsund", ZONE)


def instant(text: str) -> Instant:
    """`2026-06-01T08:00` on the wall in Stockholm."""
    at = datetime.fromisoformat(text)
    at = (at if at.tzinfo else at.replace(tzinfo=ZONE)).astimezone(ZoneInfo("UTC"))
    return Instant(business=at, recorded=at)


def fact(event: Mapping[str, Any]) -> Fact:
    """An event as it is folded."""
    return person_fact(parse_hr_event(event["type"], orjson.dumps(event)))


def people(state: PersonState) -> dict[tuple[str, str], UUID]:
    """A UUID for everyone who is mentioned."""
    return {reference: uuid5(NAMESPACE, reference[1]) for reference in state.references()}


def place(facts: Sequence[Fact]) -> Place:
    """The last of some facts at its own place among them."""
    earlier = [one for one in facts if one.order.key < facts[-1].order.key]
    return Place(fold_all(earlier), fold_all([*earlier, facts[-1]]))


class Ledger:
    """One person; facts may come in any order."""

    def __init__(self) -> None:
        self.dossier = Dossier(uuid5(NAMESPACE, "p-1"))
        self.facts: list[Fact] = []
        self.revisions: list[Revision] = []

    def say(self, event: Mapping[str, Any], at: str) -> Revision | None:
        """Let HR say it at a wall-clock time; returns the fact's own revision."""
        return self.take(fact(event), at)

    def decide(self, action: Action, at: str, until: str | None = None) -> Revision | None:
        """Let an operator decide it at a wall-clock time."""
        data = AccessDecided(external_id="p-1", action=action, until=date.fromisoformat(until) if until else None)
        return self.take(Fact(SOURCE, f"{action}-{at}", instant(at).business, 0, data), at)

    def take(self, new: Fact, at: str) -> Revision | None:
        """Fold a fact at a wall-clock time; returns its own revision."""
        self.look(at)
        self.facts.append(new)
        known = self.dossier.state
        state = fold(known, new) if known.precedes(new) else fold_all(self.facts)
        self.dossier, revision = tell(
            self.dossier,
            state,
            people(state),
            instant(at),
            ALVSUND,
            baseline=getattr(new.data, "baseline", None) is True,
        )
        return self._keep(revision)

    def look(self, at: str) -> Revision | None:
        """Let time pass until then."""
        self.dossier, revision = reach(self.dossier, instant(at), ALVSUND)
        return self._keep(revision)

    def _keep(self, revision: Revision | None) -> Revision | None:
        if revision is not None:
            self.revisions.append(revision)
        return revision

    def last(self) -> tuple[str, str]:
        """Kind and reason of the newest revision."""
        return self.revisions[-1].kind.value, self.revisions[-1].reason.value
