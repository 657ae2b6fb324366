"""What a person sees of the organisation. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from services.cli.domain.catalogue import Catalogue
from services.cli.domain.rendering import Row, grid, when


def tree(found: Row, catalogue: Catalogue) -> Iterator[RenderableType]:
    """Yield the tree, each unit below the one above it; what is left out below has a count."""
    if not found["units"]:
        yield Text(catalogue.say("org_empty"))
        return
    top = Tree(Text(catalogue.say("org_on", on=found["on"]), style="bold"))
    way: list[tuple[int, Tree]] = []
    shown = {one["unit"] for one in found["units"]}
    parents = {one["parent"] for one in found["units"]} & shown
    for one in found["units"]:
        while way and way[-1][0] >= one["depth"]:
            way.pop()
        branch = (way[-1][1] if way else top).add(_line(one, catalogue, hidden=one["unit"] not in parents))
        way.append((one["depth"], branch))
    yield top
    for one in found["waiting"]:
        why = f"{catalogue.code(one['code'])} {one['other'] or ''}"
        yield Text(f"{one['unit']} {one['name'] or ''}: {why}", style="red")


def _line(one: Row, catalogue: Catalogue, *, hidden: bool) -> Text:
    text = Text(one["name"], style="bold").append(f" {one['unit']}", style="dim")
    names = ", ".join(leader["name"] for leader in one["leaders"] if leader["name"])
    text.append(f"  {names}" if names else "", style="not bold")
    text.append("  " + catalogue.say("org_people", people=one["people"]), style="not bold dim")
    if hidden and one["children"]:
        text.append("  " + catalogue.say("org_below", units=one["children"]), style="not bold dim")
    for code in one["problems"]:
        text.append(f"  {catalogue.code(code)}", style="not bold red")
    return text


def changes(items: Iterable[Row], catalogue: Catalogue) -> Table:
    """Return what is to change, the nearest first."""
    table = grid(*catalogue.say("org_change_columns").split("|"), ids=(1,))
    for one in items:
        fields = "; ".join(
            f"{catalogue.code('unit.' + part['field'])} {_value(part, 'before')} → {_value(part, 'after')}"
            for part in one["fields"]
        )
        table.add_row(one["on"], one["unit"], Text(one["name"]), Text(fields or catalogue.say(f"org_{one['what']}")))
    return table


def _value(part: Mapping[str, Any], side: str) -> str:
    value = part[side]
    if isinstance(value, Mapping):
        return str(value["name"] or "?")
    return str(part.get(f"{side}Name") or value or "-")


def problems(found: Row, catalogue: Catalogue) -> Iterator[RenderableType]:
    """Yield what a person has to look at."""
    table = grid(*catalogue.say("org_problem_columns").split("|"), ids=(0,))
    for one in found["missing"]:
        why = f"{catalogue.code('unit.unknown')} ({when(one['due'])})"
        table.add_row(one["unit"], "-", why, str(one["people"]))
    for one in found["items"]:
        why = f"{catalogue.code(one['code'])} {one['other'] or ''}"
        table.add_row(one["unit"], Text(one["name"] or "-"), why, str(one["people"]))
    yield table if table.row_count else Text(catalogue.say("org_no_problem"), style="green")


def targets(found: Row, catalogue: Catalogue) -> Iterator[RenderableType]:
    """Yield how units stand in each directory."""
    table = grid(*catalogue.say("org_target_columns").split("|"))
    for one in found["items"]:
        counts = (one[name] for name in ("units", "members", "membersWaiting", "problems", "findings", "candidates"))
        table.add_row(one["target"], one["mode"], *map(str, counts), when(one["comparedAt"]))
    yield table if table.row_count else Text(catalogue.say("org_no_target"))


def target(found: Row, catalogue: Catalogue) -> Iterator[RenderableType]:
    """Yield what hinders in a directory, what others made, and what was found at the last reading."""
    table = grid(*catalogue.say("org_standing_columns").split("|"), ids=(0,))
    for one in found["problems"]:
        table.add_row(one["unit"], "-", catalogue.code(one["problem"]["code"]), when(one["since"]))
    for one in found["candidates"]:
        state = "org_approved" if one["approvedAt"] else "org_of_others"
        table.add_row(one["unit"], one["kind"], Text(f"{catalogue.say(state)} {one['place']}"), when(one["approvedAt"]))
    for one in found["findings"]:
        why = f"{catalogue.code(one['code'])} ({one['count']})"
        table.add_row(one["unit"], one["kind"], why, when(one["firstSeen"]))
    yield table if table.row_count else Text(catalogue.say("org_stands"), style="green")


def plan(found: Row, catalogue: Catalogue) -> Iterator[RenderableType]:
    """Yield what a reorganisation would change, day by day; the last line tells whether anything would be wrong."""
    if not found["days"]:
        yield Text(catalogue.say("org_plan_nothing"))
        return
    wrong = 0
    for day in found["days"]:
        yield Text(catalogue.say("org_plan_day", on=day["on"], units=len(day["units"]), people=day["people"]), "bold")
        table = grid(*catalogue.say("org_plan_columns").split("|"), ids=(0,))
        for one in day["units"]:
            kinds = ", ".join(catalogue.say(f"org_kind_{kind}") for kind in one["kinds"])
            paths = (_path(one[side]) for side in ("before", "after"))
            table.add_row(one["unit"], Text(one["name"] or "-"), kinds, *paths)
        yield table
        for move in day["movesPeople"]:
            to = move["to"] or catalogue.say("org_nowhere")
            yield Text(catalogue.say("org_plan_moves", people=move["people"], unit=move["from"], to=to))
        for one in day["problems"]:
            yield Text(f"{one['unit']}: {catalogue.code(one['code'])} {one['other'] or ''}", style="red")
        wrong += len(day["problems"])
    yield Text(catalogue.say("org_plan_wrong", count=wrong) if wrong else catalogue.say("org_plan_well"),
               style="red" if wrong else "green")  # fmt: skip


def _path(side: Row | None) -> str:
    return "-" if side is None else "/".join(side["path"])
