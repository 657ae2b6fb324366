"""Units in a batch: all are folded first, then the tree is judged as a whole, and told from the top down.

So a unit and the one above it may come in any order, and units may change places with each other in one batch.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from uuid import uuid4

from services.ingestion.domain import tree
from services.ingestion.domain.rules import Violation
from services.ingestion.domain.tree import Places, UnitPlace
from services.ingestion.domain.unit_record import project_unit
from services.ingestion.domain.units import (
    UnitDossier,
    UnitRevision,
    fold_all_units,
    fold_unit,
    next_date,
    unit_violations,
    unknown_parents,
)
from services.ingestion.handlers.batch import BREATH, Batch, UnitKey, rule_broken
from services.ingestion.handlers.reception import Submission, unit_fact
from services.ingestion.handlers.verdicts import Status, Verdict
from services.ingestion.store.ledger import KnownFact
from services.ingestion.store.versions import UnitTold
from services.kernel.clock import local_date
from services.kernel.problems import FieldError


@dataclass(frozen=True)
class UnitTaken:
    """An event that is folded into its unit, on which there is no verdict yet; `changed`: it said something new."""

    submission: Submission
    key: UnitKey
    changed: bool


def take(batch: Batch, submission: Submission) -> UnitTaken | Verdict:
    """Fold an event into its unit, or refuse it for what it says of the unit alone."""
    organisation, event = submission.organisation, submission.event
    fact, key = unit_fact(event, organisation.zone), (organisation.key, event.data.external_id)
    unit, history = batch.units.get(key) or UnitDossier(key[1]), batch.unit_history.get(key)
    state = fold_unit(unit.state, fact) if history is None else fold_all_units([*history, fact])
    wrong = unit_violations(state, fact)
    if wrong:
        return rule_broken(submission, wrong)
    batch.known[submission.key] = KnownFact(uuid4(), submission.body_hash, None, key[1], None, None)
    batch.units[key] = replace(unit, state=state)
    batch.units_touched[key] = submission.traceparent
    batch.unit_history.get(key, []).append(fact)
    return UnitTaken(
        submission, key, state.model_copy(update={"last": None}) != unit.state.model_copy(update={"last": None})
    )


async def settle(batch: Batch, taken: Mapping[int, UnitTaken]) -> dict[int, Verdict]:
    """Judge the trees of a batch, tell what is otherwise in them, and return the verdict on each event, by its index.

    An event that would close a circle, today or on any day to come, is refused although it is folded in already: the
    caller rolls back, and accepts the others anew. Who waited for a unit that is told of now is told after it.
    """
    organisations = {key[0] for key in batch.units_touched}
    verdicts: dict[int, Verdict] = {}
    for organisation in sorted(organisations):
        today = local_date(batch.ground.at.business, batch.zones[organisation])
        places = {**batch.ground.places.get(organisation, {})}
        places |= {key[1]: UnitPlace.of(unit) for key, unit in batch.units.items() if key[0] == organisation}
        here = {index: one for index, one in taken.items() if one.key[0] == organisation}
        verdicts |= _circles(here, places, today)
        told, loose = await _tell(batch, organisation, places, today), tree.loose(places, today)
        for index, one in here.items():
            if index not in verdicts:
                verdicts[index] = _verdict(batch, one, told.get(one.key[1]), loose)
    return verdicts


def _circles(taken: Mapping[int, UnitTaken], places: Places, today: date) -> dict[int, Verdict]:
    """Refuse, for each circle, the last event that says what is above a unit in it."""
    placing = {one.key[1]: index for index, one in taken.items() if one.submission.event.data.says("parent")}
    order = {index: place for place, index in enumerate(taken)}
    found: dict[int, Verdict] = {}
    days = tree.days(places, today)
    for unit in sorted(placing):
        way = tree.circle(places, unit, days)
        if way is None:
            continue
        day, units = way
        last = max((placing[one] for one in units if one in placing), key=lambda index: order[index])
        named = " > ".join(units) + ("" if day == today else f" from {day.isoformat()}")
        wrong = Violation("/data/parent", "unit.cycle", f"the unit would stand below itself: {named}")
        found[last] = rule_broken(taken[last].submission, [wrong])
    return found


async def _tell(batch: Batch, organisation: str, places: Places, today: date) -> dict[str, UnitRevision]:
    """Bring the units that were touched, and those that waited for them, to what can be told of them today."""
    zone = batch.zones[organisation]
    known = tree.known(places, today)
    ids = {key[1] for key in batch.units if key[0] == organisation}
    by = next((trace for key, trace in batch.units_touched.items() if key[0] == organisation), None)
    told: dict[str, UnitRevision] = {}
    for count, id_ in enumerate(tree.parents_first(ids, places, today)):
        if count % BREATH == BREATH - 1:
            await asyncio.sleep(0)
        key = (organisation, id_)
        unit = batch.units[key]
        mentioned = {
            mention: batch.identities[organisation, *mention]
            for mention in unit.state.references()
            if (organisation, *mention) in batch.identities  # who is erased is not
        }
        record, revision = project_unit(unit.state, mentioned, today, known, unit.record), None
        if record is not None and record != unit.record:
            told[id_] = revision = UnitRevision(id_, unit.revision + 1, record, uuid4())
            batch.trees[organisation] += 1
            batch.units_told.append(
                UnitTold(
                    organisation=organisation,
                    generation=batch.generation,
                    revision=revision,
                    tree_revision=batch.trees[organisation],
                    recorded_at=batch.ground.at.recorded,
                    traceparent=batch.units_touched.get(key, by),
                )
            )
        settled = replace(
            unit,
            revision=revision.number if revision else unit.revision,
            record=record or unit.record,
            waits_for=unknown_parents(unit.state, today, known),
            next_boundary=next_date(unit.state, today, zone),
        )
        if settled != unit:
            batch.units[key] = settled
            batch.units_touched.setdefault(key, by)
    return told


def _verdict(batch: Batch, taken: UnitTaken, told: UnitRevision | None, loose: Mapping[str, Sequence[str]]) -> Verdict:
    unit = taken.key[1]
    verdict = batch.enter(taken.submission, unit=unit, revision=told if taken.changed else None)
    if batch.units[taken.key].waits_for:
        verdict = replace(verdict, status=Status.PARKED)
    if not loose:
        return verdict
    warnings = [
        FieldError("/data/validTo", "unit.children_open", f"{below} stands below it and is open after its last day")
        for below in loose.get(unit, ())
    ]
    if any(unit in units for units in loose.values()):
        warnings.append(FieldError("/data/parent", "unit.parent_closed", "the unit above it closes before it does"))
    return replace(verdict, warnings=warnings)
