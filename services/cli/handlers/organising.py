"""The organisation, asked of orgtree; a plan is read from a file of rows."""

from pathlib import Path
from urllib.parse import quote

from services.cli.ports import Api, JsonObject
from services.kernel import unit_plan

API = "/v1/organisation"


def tree(orgtree: Api, on: str | None, root: str | None, depth: int) -> JsonObject:
    """Return the tree on a day, from a unit downwards."""
    asked = {"on": on, "root": root, "depth": str(depth)}
    return orgtree.get(f"{API}/tree", **{name: value for name, value in asked.items() if value is not None})


def changes(orgtree: Api) -> JsonObject:
    """Return what is to change."""
    return orgtree.get(f"{API}/changes")


def problems(orgtree: Api) -> JsonObject:
    """Return what a person has to look at."""
    return orgtree.get(f"{API}/problems")


def targets(orgtree: Api) -> JsonObject:
    """Return how units stand in directories."""
    return orgtree.get(f"{API}/targets")


def target(orgtree: Api, name: str) -> JsonObject:
    """Return what does not stand as it shall in one, what was found there, and what others made."""
    path = f"{API}/targets/{quote(name, safe='')}"
    return {part: orgtree.get(f"{path}/{part}")["items"] for part in ("problems", "candidates", "findings")}


def plan(orgtree: Api, file: Path) -> JsonObject:
    """Return what a reorganisation would change, day by day.

    Raises:
        PlanUnreadable: The file is no CSV with a header of known columns, and no JSON list of edits.
    """
    edits = unit_plan.read(file.read_bytes())
    return orgtree.post(f"{API}/plan", {"units": [one.edit for one in edits]})
