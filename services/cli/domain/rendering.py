"""What a person sees: tables and lines from the APIs' answers. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from services.cli.domain.batches import Tally
from services.cli.domain.catalogue import Catalogue
from services.cli.domain.failures import ApiProblem

COLOURS = {
    "done": "green",
    "verified": "green",
    "accepted": "green",
    "enabled": "green",
    "attention": "red",
    "parked": "red",
    "skipped": "dim",
    "held": "red",
    "rejected": "red",
    "conflict": "red",
    "retrying": "yellow",
    "running": "cyan",
}

Row = Mapping[str, Any]


def when(instant: object) -> str:
    """Return an instant without its seconds' fractions; empty for none."""
    return str(instant)[:19].replace("T", " ") if instant else ""


def coded(catalogue: Catalogue, code: object) -> Text:
    """Return a code's text in its colour."""
    return Text(catalogue.code(code), style=COLOURS.get(str(code), ""))


def grid(*headers: str, ids: Sequence[int] = ()) -> Table:
    """Return an empty table; nothing is cut in it, and the columns `ids` are the last to be folded."""
    table = Table(show_edge=False, pad_edge=False)
    for number, header in enumerate(headers):
        table.add_column(header, overflow="fold", no_wrap=number in ids)
    return table


def tally(found: Tally, catalogue: Catalogue) -> Table:
    """Return the verdicts and their numbers."""
    table = grid(catalogue.say("verdict"), catalogue.say("count"))
    for verdict, count in sorted(found.verdicts.items()):
        table.add_row(coded(catalogue, verdict), str(count))
    return table


def baseline(items: Sequence[Row], catalogue: Catalogue) -> Table:
    """Return what cases took before, as they were measured."""
    table = grid(*catalogue.say("baseline_columns").split("|"))
    for item in items:
        lead = "" if item["leadHours"] is None else f"{item['leadHours']:g}"
        table.add_row(
            catalogue.code(item["kind"]),
            f"{item['minutes']:g}",
            lead,
            item["measuredOn"],
            str(item["cases"]),
            item["actor"],
            escape(item["note"] or ""),
        )
    return table


def counts(found: Row, catalogue: Catalogue) -> Table:
    """Return what a file comes to: kinds of change, and what became of people."""
    table = grid(*catalogue.say("file_columns").split("|"))
    for name, count in found.items():
        if count:
            table.add_row(Text(catalogue.code(f"count.{name}"), style=COLOURS.get(name, "")), str(count))
    return table


def planned(items: Iterable[Row], catalogue: Catalogue) -> Table:
    """Return what a file does to people: names of fields, never what stands in them."""
    table = grid(*catalogue.say("file_people_columns").split("|"))
    for one in items:
        what = [catalogue.code(code) for code in (one["kind"], one["reason"]) if code]
        state = coded(catalogue, f"person.{one['state']}")
        fields = ", ".join(catalogue.code(f"field.{name}") for name in one["fields"])
        table.add_row(escape(one["externalId"]), ", ".join(what), state, fields)
    return table


def retention(services: Iterable[Row], catalogue: Catalogue) -> Table:
    """Return what services keep, a row for each data class."""
    table = grid(*catalogue.say("retention_columns").split("|"), ids=(0,))
    for service in services:
        for one in service["classes"]:
            what = catalogue.code(f"retention.{one['class']}")
            table.add_row(
                service["service"],
                catalogue.say("retention_all", what=what) if one["owner"] == "installation" else what,
                str(one["days"]),
                when(one["oldest"])[:10] or "-",
                when(one["lastRun"]) or "-",
                "-" if one["lastRows"] is None else str(one["lastRows"]),
                catalogue.say("retention_running") if one["running"] else when(one["nextRun"]) or "-",
            )
    return table


COUNTS = (
    "people", "opens", "prepares", "gains", "closes", "deletes", "losses", "renames", "reschedules", "allowance",
)  # fmt: skip


def tables(items: Iterable[Row], catalogue: Catalogue) -> Table:
    """Return the decision tables: what is active since when and by whom, and what waits."""
    table = grid(*catalogue.say("tables_columns").split("|"), ids=(0,))
    for item in items:
        active, candidate = item["active"] or {}, item["candidate"]
        waits = candidate["hash"] if candidate and candidate["differs"] else "-"
        if item["refused"]:
            waits = catalogue.say("policy_refused", **item["refused"])
        cells = (active.get("hash", "-"), when(active.get("activatedAt")), active.get("actor", ""), waits)
        table.add_row(item["table"], *map(escape, cells))
    return table


def impact(found: Row, catalogue: Catalogue) -> list[RenderableType]:
    """Return what a table would change: people by what happens to them, and each group and licence."""
    counts = grid(*catalogue.say("plan_columns").split("|"))
    for name in COUNTS:
        if name in found:
            counts.add_row(catalogue.say(f"plan_{name}"), str(found[name]))
    if not found.get("values"):
        return [counts]
    values = grid(*catalogue.say("plan_values_columns").split("|"))
    for one in found["values"]:
        what = catalogue.code(one["kind"]), escape(one["value"])
        values.add_row(escape(one["target"]), *what, str(one["gains"]), str(one["losses"]))
    return [counts, values]


def entitlements(target: Row, catalogue: Catalogue) -> list[RenderableType]:
    """Return the groups and licences of one target, each with whether it is there and the row that gives it."""
    found: list[RenderableType] = []
    for one in target["entitlements"]:
        state = "given" if one["given"] and one["wanted"] else "taken_next" if one["given"] else "given_next"
        why = catalogue.say("row", table=one["table"], row=one["row"]) if one["row"] else ""
        problem = one.get("problem")
        how = catalogue.code(problem["code"]) if problem else catalogue.say(state)
        what = f"{catalogue.code(one['kind'])} {one['value']}: {how}"
        found.append(Text("  " + (f"{what} ({why})" if why else what)))
    return found


def persons(items: Iterable[Row], catalogue: Catalogue) -> Table:
    """Return people in a list."""
    table = grid(catalogue.say("name"), catalogue.say("login"), catalogue.say("id"), ids=(2,))
    for item in items:
        table.add_row(escape(item["name"]), escape(", ".join(item["userNames"])), item["id"])
    return table


def person(detail: Row, catalogue: Catalogue) -> list[RenderableType]:
    """Return a person: targets, open cases, what remains."""
    targets = grid(*(catalogue.say(one) for one in ("target", "login", "desired", "observed", "verified_at")))
    for one in detail["targets"]:
        place = f"{one['service']}/{one['target']}"
        wanted, seen = coded(catalogue, one["desired"] or "-"), coded(catalogue, one["observed"] or "-")
        targets.add_row(place, escape(one["userName"] or ""), wanted, seen, when(one["verifiedAt"]))
    heading = Text(f"{detail['name']}  {detail['id']}", style="bold")
    standing = [Text(_place(detail["place"], catalogue))] if detail["place"] else []
    given: list[RenderableType] = []
    for one in detail["targets"]:
        if one["entitlements"]:
            given += [Text(f"{one['service']}/{one['target']}", style="bold"), *entitlements(one, catalogue)]
    open_ = [cases(detail["cases"], catalogue)] if detail["cases"] else []
    return [heading, *standing, targets, *given, *open_, *remains(detail["remains"], catalogue)]


def _place(found: Row, catalogue: Catalogue) -> str:
    """Return the unit of the main employment, and behind it those of others."""
    units = [_unit(one) for one in (found["unit"], *found["memberships"]) if one]
    return f"{catalogue.say('place')}: {', '.join(units) if found['unit'] else catalogue.say('no_place')}"


def _unit(one: Row) -> str:
    return f"{one['name']} ({one['unit']})" if one["name"] else str(one["unit"])


def cases(items: Iterable[Row], catalogue: Catalogue) -> Table:
    """Return cases in a list."""
    table = grid(*(catalogue.say(one) for one in ("case", "kind", "reason", "state", "effective")), ids=(0,))
    for item in items:
        kind, reason = catalogue.code(item["kind"]), catalogue.code(item["reason"])
        table.add_row(item["id"], kind, reason, coded(catalogue, item["state"]), when(item["effectiveAt"]))
    return table


def case(detail: Row, catalogue: Catalogue) -> list[RenderableType]:
    """Return a case: its steps, what remains, how long it took."""
    parts: list[RenderableType] = [Text(detail["name"], style="bold"), cases([detail], catalogue)]
    parts.append(steps(detail["steps"], catalogue))
    parts += remains(detail["remains"], catalogue)
    if detail["seconds"] is not None:
        parts.append(Text(catalogue.say("took", seconds=round(detail["seconds"], 1)), style="green"))
    return parts


def progress(detail: Row, catalogue: Catalogue) -> Text:
    """Return how far a case has come, in one line."""
    state, count = catalogue.code(detail["state"]), len(detail["remains"])
    return Text(catalogue.say("progress", name=detail["name"], case=detail["id"], state=state, count=count))


def steps(items: Iterable[Row], catalogue: Catalogue) -> Table:
    """Return steps with their state, due time and problem."""
    table = grid(*(catalogue.say(one) for one in ("target", "step", "state", "due", "problem")))
    for item in items:
        due = when(item["due"]) + (f" ({catalogue.say('follow_up')})" if item.get("followUp") else "")
        place, code = f"{item['service']}/{item['target']}", catalogue.code(item["code"])
        table.add_row(place, code, coded(catalogue, item["state"]), due, _trouble(item.get("problem"), catalogue))
    return table


def _trouble(problem: Row | None, catalogue: Catalogue) -> str:
    if problem is None:
        return ""
    values = " ".join(f"{name}={value}" for name, value in problem["parameters"].items())
    return escape(f"{catalogue.code(problem['code'])} {values}".strip())


def remains(items: Sequence[Row], catalogue: Catalogue) -> list[RenderableType]:
    """Return what remains."""
    if not items:
        return [Text(catalogue.say("nothing_remains"), style="green")]
    return [Text(catalogue.say("remains"), style="bold"), steps(items, catalogue)]


def holds(items: Iterable[Row], catalogue: Catalogue) -> Table:
    """Return what the guard holds."""
    columns = ("hold", "name", "target", "step", "state", "since", "problem")
    table = grid(*(catalogue.say(one) for one in columns), ids=(0,))
    for item in items:
        place, code = f"{item['service']}/{item['target']}", catalogue.code(item["code"])
        state = coded(catalogue, "refused" if is_refused(item) else item["state"])
        trouble = _trouble(item["problem"], catalogue)
        table.add_row(item["hold"] or "", escape(item["name"]), place, code, state, when(item["since"]), trouble)
    return table


def is_refused(hold: Row) -> bool:
    """Say whether somebody has refused what is held: it waits for nobody any more."""
    return (hold["problem"] or {}).get("code") == "guard.refused"


def reasons(detail: Row, catalogue: Catalogue) -> list[RenderableType]:
    """Return per target which revision and which policy rows decided, and what they led to."""
    parts: list[RenderableType] = []
    for one in detail["targets"]:
        decided = catalogue.say("decided", revision=one["revision"], hash=one["policyHash"])
        parts.append(Text(f"{one['service']}/{one['target']}: {decided}", style="bold"))
        for why in (why for why in one["why"] if why.get("value") is None):
            employment = f" ({why['employment']})" if why["employment"] else ""
            parts.append(Text("  " + catalogue.say("row", table=why["table"], row=why["row"]) + employment))
        parts += entitlements(one, catalogue)
        parts.append(steps(one["steps"], catalogue))
    return parts


def facts(items: Iterable[Row], catalogue: Catalogue) -> Table:
    """Return the facts of HR that a person's record is folded from."""
    table = grid(*(catalogue.say(one) for one in ("asserted", "source", "id", "revision", "actor")), ids=(2,))
    for item in items:
        source, event, actor = (escape(str(item[name] or "")) for name in ("source", "id", "actor"))
        table.add_row(when(item["assertedAt"]), source, event, str(item["revision"] or ""), actor)
    return table


def problem(found: ApiProblem, catalogue: Catalogue) -> list[RenderableType]:
    """Return a problem: title, code, fields with reasons, what to do."""
    parts: list[RenderableType] = [Text(f"{found.title} ({found.code})", style="bold red")]
    if found.detail:
        parts.append(Text(found.detail))
    parts += [Text(f"  {one.field}: {one.reason} ({one.code})") for one in found.errors]
    remedy = catalogue.remedy(found.code, found.status)
    if remedy:
        parts.append(Text(f"{catalogue.say('what_to_do')}: {remedy}"))
    return parts
