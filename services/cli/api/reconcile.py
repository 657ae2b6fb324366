"""target list, live; drift run, show, findings, decide."""

from typing import Annotated, Literal

import typer
from rich.text import Text

from services.cli.api.command import Reason, Yes
from services.cli.api.look import Json
from services.cli.api.session import USAGE, session
from services.cli.domain import reconciliation
from services.cli.handlers import reconciling

target = typer.Typer(no_args_is_help=True, help="Targets: what may be written there, and which units are live.")
drift = typer.Typer(no_args_is_help=True, help="How a target differs from what shall be there, and what becomes of it.")

Name = Annotated[str, typer.Argument(metavar="TARGET", help="As `stafett target list` names it.")]
Units = Annotated[list[str], typer.Argument(metavar="UNIT...", help="Ids of units; * is all of them.")]
Kind = Annotated[str | None, typer.Option("--kind", help="Only of this kind, as `stafett drift show` names it.")]
Person = Annotated[str | None, typer.Option("--person", help="Only this person's, by id.")]
Attribute = Annotated[str | None, typer.Option("--attribute", help="Only this attribute.")]
Decision = Annotated[Literal["reclaim", "accept", "reopen", "ignore"], typer.Argument(metavar="DECISION")]
What = Annotated[str, typer.Argument(metavar="FINDING|TARGET", help="One finding, or with --kind a whole target.")]


@target.command("list")
def list_(ctx: typer.Context, json_: Json = False) -> None:
    """List the targets: mode, live units, accounts, open differences."""
    use = session(ctx)
    with use.guarded():
        found = reconciling.targets(use.accounts)
    if json_:
        use.data({"items": found})
    else:
        use.show(reconciliation.targets(found, use.catalogue))


@target.command("live")
def live(ctx: typer.Context, name: Name, units: Units, reason: Reason, yes: Yes = False, json_: Json = False) -> None:
    """Let the people of units be written in a target that goes live in stages."""
    use = session(ctx)
    with use.guarded():
        people = reconciling.concerned(use.accounts, name, units)
    use.confirm("confirm_live", yes=yes, units=", ".join(units), target=name, people=people)
    with use.guarded():
        done = reconciling.go_live(use.accounts, name, units, reason, people)
    if json_:
        use.data(done)
    else:
        said = {"count": len(done["units"]), "target": name, "people": done["lookedAtAgain"]}
        use.show(Text(use.catalogue.say("target_live", **said)))


@drift.command("run")
def run(ctx: typer.Context, name: Name, json_: Json = False) -> None:
    """Have a whole target read and compared now."""
    use = session(ctx)
    with use.guarded():
        found = reconciling.compare(use.accounts, name)
    if json_:
        use.data(found)
    else:
        use.show(Text(use.catalogue.say("drift_asked", target=name)))


@drift.command("show")
def show(ctx: typer.Context, name: Name, json_: Json = False) -> None:
    """Show how many differences of each kind are open, and of when that is."""
    use = session(ctx)
    with use.guarded():
        found = reconciling.standing(use.accounts, name)
    if json_:
        use.data(found)
    else:
        use.show(*reconciliation.standing(found, use.catalogue))


@drift.command("findings")
def findings(
    ctx: typer.Context,
    name: Name,
    kind: Kind = None,
    attribute: Attribute = None,
    person: Person = None,
    ignored: Annotated[
        bool, typer.Option("--ignored", help="Those that somebody decided to leave as they are.")
    ] = False,
    json_: Json = False,
) -> None:
    """List the differences that are open."""
    use = session(ctx)
    query = {"kind": kind, "attribute": attribute, "person": person, "ignored": str(ignored).lower()}
    with use.guarded():
        found = list(reconciling.findings(use.accounts, name, **query))
    if json_:
        use.data({"items": found})
    else:
        use.show(reconciliation.findings(found, use.catalogue) if found else Text(use.catalogue.say("no_drift")))


@drift.command("decide")
def decide(
    ctx: typer.Context,
    what: What,
    decision: Decision,
    reason: Reason,
    kind: Kind = None,
    attribute: Attribute = None,
    person: Person = None,
    yes: Yes = False,
    json_: Json = False,
) -> None:
    """Decide one difference; with --kind all undecided ones of a target, after their number was shown.

    With --kind and --person it is that person's: `--kind grant_taken` gives again (reclaim) or leaves (accept) what
    another hand took, with --attribute one of it (group:NAME, licence:NAME).
    """
    use = session(ctx)
    if kind is None and (attribute is not None or person is not None):
        use.complain("one_missing", what="--kind")
        raise typer.Exit(USAGE)
    with use.guarded():
        if kind is None:
            done = reconciling.decide(use.accounts, what, decision, reason)
        else:
            path = f"/v1/drift/{what}/decide"
            body = {"decision": decision, "reason": reason, "kind": kind, "attribute": attribute}
            said = use.catalogue.code(f"decision.{decision}").capitalize()
            if person is not None:
                use.confirm("confirm_drift_person", yes=yes, decision=said, person=person)
                done = use.accounts.post(path, {**body, "person": person})
            else:
                count = reconciling.matching(use.accounts, path, body)
                use.confirm("confirm_drift", yes=yes, decision=said, count=count)
                done = use.accounts.post(path, {**body, "matches": count})
    if json_:
        use.data(done)
    else:
        use.show(Text(use.catalogue.say("drift_decided", **done)))
