"""takeover plan, show, adopt, dismiss: accounts that others made become people's."""

from typing import Annotated, Literal

import typer
from rich.text import Text

from services.cli.api.command import Reason, Yes
from services.cli.api.look import Json
from services.cli.api.reconcile import Name
from services.cli.api.session import USAGE, session
from services.cli.domain import reconciliation
from services.cli.handlers import identifying, reconciling

takeover = typer.Typer(no_args_is_help=True, help="Take accounts over that others made: a plan, and its approval.")

Certainty = Annotated[
    Literal["certain", "ambiguous", "none"] | None, typer.Option("--certainty", help="List these accounts.")
]
PlanHash = Annotated[str, typer.Option("--plan", help="The plan's hash, as `stafett takeover show` tells it.")]
Pairs = Annotated[
    list[str] | None, typer.Option("--pair", metavar="ENTRY=PERSON", help="Whose one is; may be repeated.")
]


@takeover.command("plan")
def plan(ctx: typer.Context, name: Name, json_: Json = False) -> None:
    """Have a target read and its unmarked accounts matched with people. Writes nothing there."""
    use = session(ctx)
    with use.guarded():
        found = use.accounts.post(f"/v1/takeover/{name}/plan", {})
    if json_:
        use.data(found)
    else:
        use.show(Text(use.catalogue.say("takeover_asked", target=name)))


@takeover.command("show")
def show(ctx: typer.Context, name: Name, certainty: Certainty = None, json_: Json = False) -> None:
    """Show the newest plan and how far it has come; with --certainty its accounts."""
    use = session(ctx)
    with use.guarded():
        found = use.accounts.get(f"/v1/takeover/{name}")
        rows = list(reconciling.rows(use.accounts, name, certainty)) if certainty else []
    if json_:
        use.data({**found, **({"items": rows} if certainty else {})})
        return
    use.show(*reconciliation.plan(found, use.catalogue))
    if rows:
        use.show(reconciliation.rows(rows, use.catalogue))


@takeover.command("dismiss")
def dismiss(
    ctx: typer.Context,
    name: Name,
    entries: Annotated[list[str], typer.Argument(metavar="ENTRY...", help="Accounts, as `takeover show` lists them.")],
    plan_: PlanHash,
    reason: Reason,
    yes: Yes = False,
    json_: Json = False,
) -> None:
    """Say of accounts that they are none of their candidates'. They stay as they are."""
    use = session(ctx)
    use.confirm("confirm_dismiss", yes=yes, count=len(entries), target=name)
    body = {"plan": plan_, "entries": entries, "reason": reason}
    with use.guarded():
        done = use.accounts.post(f"/v1/takeover/{name}/dismiss", body)
    if json_:
        use.data(done)
    else:
        use.show(Text(use.catalogue.say("takeover_dismissed", **done)))


@takeover.command("adopt")
def adopt(
    ctx: typer.Context,
    name: Name,
    plan_: PlanHash,
    reason: Reason,
    certain: Annotated[bool, typer.Option("--certain", help="All that are certain.")] = False,
    pair: Pairs = None,
    yes: Yes = False,
    json_: Json = False,
) -> None:
    """Approve what a plan proposes: all that is certain, or pairs. Only marks are written until a unit goes live."""
    use = session(ctx)
    if certain == bool(pair):
        use.complain("one_missing", what="--certain, --pair")
        raise typer.Exit(USAGE)
    try:
        chosen = identifying.pairs(pair or [])
    except identifying.NoPair as error:
        use.complain("no_pair", text=error)
        raise typer.Exit(USAGE) from error
    pairs = [{"entry": one["source"], "person": one["externalId"]} for one in chosen]
    path, body = f"/v1/takeover/{name}/adopt", {"plan": plan_, "rows": pairs or "certain", "reason": reason}
    with use.guarded():
        count = reconciling.matching(use.accounts, path, body)
    use.confirm("confirm_adopt", yes=yes, count=count, target=name)
    with use.guarded():
        done = use.accounts.post(path, {**body, "matches": count})
    if json_:
        use.data(done)
        return
    use.show(Text(use.catalogue.say("takeover_approved", approved=done["approved"])))
    for one in done["refused"]:
        use.show(Text(f"{one['entry']}: {use.catalogue.code(one['code'])}", style="red"))
