"""access disable, restore, keep, withdraw, approve, refuse, list: access beside HR's word."""

from typing import Annotated, Any

import typer
from rich.text import Text

from services.cli.api.command import Reason, Yes
from services.cli.api.look import Json
from services.cli.api.session import Session, session
from services.cli.domain import rendering
from services.cli.handlers import deciding

access = typer.Typer(
    no_args_is_help=True, help="Close access at once, or keep it for some days, whatever HR says. Kept by two people."
)

Who = Annotated[str, typer.Argument(metavar="PERSON")]
Until = Annotated[str, typer.Option("--until", metavar="DATE", help="The last day, at most 14 days ahead.")]
Decision = Annotated[str, typer.Argument(metavar="DECISION", help="As `stafett access list` names it.")]


@access.command("disable")
def disable(ctx: typer.Context, person: Who, reason: Reason, yes: Yes = False, json_: Json = False) -> None:
    """Close everything a person has, at once, until somebody restores it."""
    use = session(ctx)
    with use.guarded():
        who = deciding.somebody(use, person)
    use.confirm("confirm_disable", yes=yes, **who)
    _decide(use, who, "disable", reason, None, json_)


@access.command("restore")
def restore(ctx: typer.Context, person: Who, reason: Reason, json_: Json = False) -> None:
    """Lift a block: what HR says holds again."""
    _found(session(ctx), person, "restore", reason, None, json_)


@access.command("keep")
def keep(ctx: typer.Context, person: Who, until: Until, reason: Reason, json_: Json = False) -> None:
    """Propose that access outlasts the employment; a second person approves it within a day."""
    _found(session(ctx), person, "keep", reason, until, json_)


@access.command("withdraw")
def withdraw(ctx: typer.Context, person: Who, reason: Reason, json_: Json = False) -> None:
    """Keep access no longer: HR's own end holds again."""
    _found(session(ctx), person, "withdraw", reason, None, json_)


@access.command("approve")
def approve(ctx: typer.Context, decision: Decision, reason: Reason, json_: Json = False) -> None:
    """Approve what somebody else has proposed."""
    _answer(session(ctx), decision, reason, json_, approve=True)


@access.command("refuse")
def refuse(ctx: typer.Context, decision: Decision, reason: Reason, json_: Json = False) -> None:
    """Refuse what has been proposed, or take one's own proposal back."""
    _answer(session(ctx), decision, reason, json_, approve=False)


@access.command("list")
def list_(ctx: typer.Context, person: Annotated[str | None, typer.Argument()] = None, json_: Json = False) -> None:
    """List what waits for a second person, or all that was decided about one person."""
    use = session(ctx)
    with use.guarded():
        found = deciding.listed(use, person)
    if json_:
        use.data({"items": found})
        return
    table = rendering.grid(*use.catalogue.say("access_columns").split("|"), ids=(0,))
    for one in found:
        action, state = (use.catalogue.code(f"access.{one[key]}") for key in ("action", "state"))
        by = " + ".join(filter(None, (one["actor"], one["decidedBy"])))
        table.add_row(one["id"], one["person"], action, one["until"] or "", state, by, one["reason"])
    use.show(table if found else Text(use.catalogue.say("no_access")))


def _found(use: Session, person: str, action: str, reason: str, until: str | None, json_: bool) -> None:
    with use.guarded():
        who = deciding.somebody(use, person)
    _decide(use, who, action, reason, until, json_)


def _decide(use: Session, who: dict[str, Any], action: str, reason: str, until: str | None, json_: bool) -> None:
    with use.guarded():
        answer = deciding.decide(use, who["id"], action, reason, until)
    _tell(use, answer, json_)


def _answer(use: Session, decision: str, reason: str, json_: bool, *, approve: bool) -> None:
    with use.guarded():
        answer = deciding.answer(use, decision, reason, approve=approve)
    _tell(use, answer, json_)


def _tell(use: Session, answer: dict[str, Any], json_: bool) -> None:
    if json_:
        use.data(answer)
        return
    use.show(Text(use.catalogue.say(f"access_{answer['state']}", **answer)))
