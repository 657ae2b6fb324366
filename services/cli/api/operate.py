"""operations, retention, dead; policy list, show, plan, activate."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.text import Text

from services.cli.api.command import Reason
from services.cli.api.look import Json
from services.cli.api.session import USAGE, Session, session
from services.cli.domain import rendering
from services.cli.handlers import operating
from services.cli.handlers.operating import NotATable

policy = typer.Typer(no_args_is_help=True, help="Decision tables: what is active, what a table would change.")

File = Annotated[
    Path | None,
    typer.Argument(metavar="[FILE]", help="A decision table (JSON); without it the installation's own.", exists=True),
]
Owner = Annotated[Literal["ingestion", "accounts", "orgtree", "status"], typer.Option("--service", help="Whose.")]
Target = Annotated[str, typer.Argument(metavar="TARGET", help="As `stafett operations` names it.")]
Which = Annotated[str, typer.Option("--table", help="Which one; `stafett policy list` names them.")]
ACCOUNTS = "accounts"


def operations(ctx: typer.Context, json_: Json = False) -> None:
    """Show backlog, work by state, breakers and dead letters of every service."""
    use = session(ctx)
    with use.guarded():
        found = operating.overviews(use)
    if json_:
        use.data({"services": found})
        return
    table = rendering.grid(*use.catalogue.say("operations_columns").split("|"), ids=(0,))
    for one in found:
        work = ", ".join(f"{use.catalogue.code(row['state'])} {row['count']}" for row in one["work"])
        away = ", ".join(f"{row['target']}: {row['reason']}" for row in one["breakers"] if row["openedAt"])
        paused = ", ".join(
            use.catalogue.say(
                "paused_by" if row["pausedBy"] else "paused_since",
                target=row["target"],
                actor=row["pausedBy"],
                reason=row["pauseReason"],
                since=rendering.when(row["pausedAt"]),
            )
            for row in one["breakers"]
            if row["pausedAt"]
        )
        outbox, dead = str(one["outbox"]["unpublished"]), str(one["deadLetters"]["kept"])
        table.add_row(one["service"], outbox, work or "-", ", ".join(filter(None, (paused, away))) or "-", dead)
    use.show(table)


def retention(ctx: typer.Context, json_: Json = False) -> None:
    """Show what every service keeps, for how many days, when it was purged last and when it will be next."""
    use = session(ctx)
    with use.guarded():
        found = operating.retention(use)
    if json_:
        use.data({"services": found})
        return
    use.show(rendering.retention(found, use.catalogue))
    for one in found:
        if one["pausedAt"]:
            use.complain(
                "retention_paused_by" if one["pausedBy"] else "retention_paused",
                service=one["service"],
                actor=one["pausedBy"],
                reason=one["pauseReason"],
                since=rendering.when(one["pausedAt"]),
            )


def dead(
    ctx: typer.Context,
    service: Owner,
    json_: Json = False,
) -> None:
    """List messages that a service could not take in; `redeliver` takes them in once more."""
    use = session(ctx)
    with use.guarded():
        found = operating.dead_letters(use, service)
    if json_:
        use.data({"items": found})
        return
    table = rendering.grid(*use.catalogue.say("dead_columns").split("|"), ids=(0,))
    for one in found:
        table.add_row(str(one["id"]), one["queue"], str(one["type"]), one["cause"], one["receivedAt"])
    use.show(table if found else Text(use.catalogue.say("no_dead")))


def pause(ctx: typer.Context, target: Target, service: Owner, reason: Reason, json_: Json = False) -> None:
    """Stop all writes to a target, in all organisations, until it is resumed. Removals wait too."""
    _switch(session(ctx), service, target, reason, paused=True, json_=json_)


def resume(ctx: typer.Context, target: Target, service: Owner, reason: Reason, json_: Json = False) -> None:
    """Let a paused target be written to again."""
    _switch(session(ctx), service, target, reason, paused=False, json_=json_)


def _switch(use: Session, service: str, target: str, reason: str, *, paused: bool, json_: bool) -> None:
    with use.guarded():
        answer = operating.switch(use, service, target, reason, paused=paused)
    if json_:
        use.data(answer)
    else:
        use.show(Text(use.catalogue.say("paused" if paused else "resumed", target=target)))


@policy.command("list")
def tables(ctx: typer.Context, json_: Json = False) -> None:
    """List the decision tables: what is active, and whether the installation's file differs."""
    use = session(ctx)
    with use.guarded():
        found = operating.tables(use)
    if json_:
        use.data({"items": found})
    else:
        use.show(rendering.tables(found, use.catalogue))


@policy.command("show")
def show(ctx: typer.Context, table: Which = ACCOUNTS, json_: Json = False) -> None:
    """Show which table is active, since when, by whom and why; and whether the installation's file differs."""
    use = session(ctx)
    with use.guarded():
        answer = use.accounts.get(f"{operating.POLICY}/{table}")
    if json_:
        use.data(answer)
        return
    active, candidate, refused = answer["active"], answer["candidate"], answer["refused"]
    if active:
        said = {**active, "activatedAt": rendering.when(active["activatedAt"])}
        use.show(Text(use.catalogue.say("policy_active", **said)))
    else:
        use.show(Text(use.catalogue.say("policy_none")))
    if candidate and candidate["differs"]:
        use.show(Text(use.catalogue.say("policy_differs", table=table, hash=candidate["hash"])))
    if refused:
        use.complain("policy_refused", **refused)


@policy.command("plan")
def plan(ctx: typer.Context, file: File = None, table: Which = ACCOUNTS, json_: Json = False) -> None:
    """Show who would change if the table were active. Changes nothing."""
    use = session(ctx)
    found = _plan(use, table, file)
    if json_:
        use.data(found)
    else:
        _show_plan(use, found)


@policy.command("activate")
def activate(
    ctx: typer.Context,
    reason: Reason,
    file: File = None,
    table: Which = ACCOUNTS,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json_: Json = False,
) -> None:
    """Plan, ask, and make the table the active one. Who loses something at once is counted, and must be confirmed."""
    use = session(ctx)
    found = _plan(use, table, file)
    if not yes:
        _show_plan(use, found)
        use.confirm("confirm_policy", hash=found["hash"])
    with use.guarded():
        answer = operating.activate(use, table, file, found, reason)
    if json_:
        use.data(answer)
    else:
        use.show(Text(use.catalogue.say("policy_activated", **answer)))


def _plan(use: Session, table: str, file: Path | None) -> dict[str, Any]:
    try:
        with use.guarded():
            return operating.plan(use, table, file)
    except NotATable as error:
        use.complain("not_json", file=file, reason=error)
        raise typer.Exit(USAGE) from error


def _show_plan(use: Session, found: dict[str, Any]) -> None:
    use.show(*rendering.impact(found, use.catalogue))
    if found["needsConfirmation"]:
        use.complain("plan_held", count=found["removals"], allowance=found["allowance"])
