"""What a person sees of targets, drift and take-over. Pure."""

from collections.abc import Iterable, Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from services.cli.domain.catalogue import Catalogue
from services.cli.domain.rendering import Row, grid, when


def targets(found: Sequence[Row], catalogue: Catalogue) -> Table:
    """Return the targets, one a line."""
    table = grid(*catalogue.say("target_columns").split("|"), ids=(0,))
    for one in found:
        live = catalogue.say("target_all") if one["live"] is None else str(one["live"])
        differences = str(sum(one["findings"].values()))
        mode = one["mode"] if one["mode"] == "write" else catalogue.code(f"target.{one['mode']}")
        table.add_row(one["target"], mode, live, str(one["accounts"]), differences, when(one["comparedAt"]) or "-")
    return table


def standing(found: Row, catalogue: Catalogue) -> Iterator[RenderableType]:
    """Yield of when a comparison is, and what is open by kind."""
    if found["comparedAt"] is None:
        yield Text(catalogue.say("drift_never"))
    else:
        said = {"at": when(found["comparedAt"]), "read": found["read"], "skipped": found["skipped"]}
        yield Text(catalogue.say("drift_standing", **said))
    if found["running"]:
        yield Text(catalogue.say("drift_running", soFar=found["soFar"]))
    if found["problem"]:
        yield Text(catalogue.say("drift_problem", problem=catalogue.code(found["problem"])), style="red")
    table = grid(*catalogue.say("drift_columns").split("|"))
    for kind, count in found["kinds"].items():
        if count:
            table.add_row(f"{catalogue.code(f'drift.{kind}')} ({kind})", str(count))
    yield table if table.row_count else Text(catalogue.say("no_drift"), style="green")


def findings(found: Iterable[Row], catalogue: Catalogue) -> Table:
    """Return differences, one a line."""
    table = grid(*catalogue.say("drift_finding_columns").split("|"), ids=(0,))
    for one in found:
        detail = one["detail"]
        table.add_row(
            Text(one["id"]),
            catalogue.code(f"drift.{one['kind']}"),
            Text(one["person"] or str(detail.get("userName", "-"))),
            Text(one["attribute"] or "-"),
            _value(detail.get("wanted"), catalogue),
            _value(detail.get("observed"), catalogue),
            when(one["firstSeen"]),
        )
    return table


def _value(value: object, catalogue: Catalogue) -> Text:
    if isinstance(value, list):
        return Text(", ".join(str(one) for one in value) or "-")
    return Text(catalogue.code(value) if value else "-")


def plan(found: Row, catalogue: Catalogue) -> Iterator[RenderableType]:
    """Yield what a plan of a take-over proposes, and how far it has come."""
    if found["planning"]:
        yield Text(catalogue.say("takeover_planning"))
    if found["problem"]:
        yield Text(catalogue.say("drift_problem", problem=catalogue.code(found["problem"])), style="red")
    if found["plan"] is None:
        yield Text(catalogue.code("takeover.missing"))
        return
    said = {"plan": found["plan"], "at": when(found["madeAt"]), "read": found["read"], "people": found["people"]}
    yield Text(catalogue.say("takeover_plan", **said))
    table = grid(*catalogue.say("takeover_columns").split("|"))
    for certainty, counts in found["counts"].items():
        numbers = [str(counts[name]) for name in ("rows", "approved", "adopted", "refused")]
        table.add_row(catalogue.code(f"takeover.{certainty}"), *numbers)
    yield table


def rows(found: Iterable[Row], catalogue: Catalogue) -> Table:
    """Return a plan's accounts, one a line."""
    table = grid(*catalogue.say("takeover_row_columns").split("|"), ids=(0,))
    for one in found:
        table.add_row(
            Text(one["entry"]),
            Text(one["userName"]),
            Text(", ".join(one["mails"]) or "-"),
            catalogue.code(f"by.{one['by']}") if one["by"] else "-",
            Text("\n".join(one["candidates"]) or "-"),
            Text(one["adoptedBy"] or (catalogue.code(one["refused"]) if one["refused"] else "-")),
        )
    return table
