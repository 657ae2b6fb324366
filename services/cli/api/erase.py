"""erase: what would be emptied of a person, and what is kept; then, when somebody has typed the id, the erasure."""

from typing import Annotated, Any

import typer
from rich.text import Text

from services.cli.api.command import Reason, Yes
from services.cli.api.look import Json
from services.cli.api.session import PROBLEM, STOPPED, Session, session
from services.cli.domain import rendering
from services.cli.handlers import erasing


def erase(
    ctx: typer.Context,
    person: Annotated[str, typer.Argument(metavar="PERSON")],
    reason: Reason,
    yes: Yes = False,
    json_: Json = False,
) -> None:
    """Empty all that is known of a person who has long left. It cannot be undone: the id has to be typed."""
    use = session(ctx)
    with use.guarded():
        plan = erasing.plan(use, person)
    if not plan["possible"]:
        _tell(use, plan, json_)
        raise typer.Exit(0 if plan["erasedAt"] else PROBLEM)
    if not yes:
        use.err.print(_plan(use, plan))
        for line in _kept(use, plan):
            use.err.print(line)
        typed = typer.prompt(use.catalogue.say("erase_type"), err=True, default="", show_default=False)
        if typed.strip() != plan["person"]:
            use.complain("erase_not_typed")
            raise typer.Exit(STOPPED)
    with use.guarded():
        done = erasing.erase(use, plan["person"], reason)
    _tell(use, done, json_)


def _tell(use: Session, plan: dict[str, Any], json_: bool) -> None:
    if json_:
        use.data(plan)
        return
    if plan["erasedAt"]:
        days = {f"{name}_days": count for name, count in plan["messagesKeptDays"].items()}
        use.show(Text(use.catalogue.say("erase_done", person=plan["person"], **days)))
        return
    for one in plan["hindrances"]:
        until = use.catalogue.say("erase_until", until=one["until"]) if one["until"] else ""
        use.show(Text(f"{use.catalogue.code(one['code'])}{until}"))
        remedy = use.catalogue.remedy(one["code"], 0)
        if remedy:
            use.show(Text(f"  {remedy}"))


def _plan(use: Session, plan: dict[str, Any]) -> Any:
    table = rendering.grid(*use.catalogue.say("erase_columns").split("|"))
    for name, count in plan["empties"].items():
        table.add_row(use.catalogue.say(f"erase_{name}"), str(count))
    return table


def _kept(use: Session, plan: dict[str, Any]) -> list[Text]:
    why = [f"  {use.catalogue.code(f'erasure.kept_{name}')}" for name in plan["keeps"]]
    return [Text(line) for line in (use.catalogue.say("erase_keeps"), *why)]
