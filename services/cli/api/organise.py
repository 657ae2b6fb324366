"""org tree, changes, problems, plan, targets."""

from pathlib import Path
from typing import Annotated

import typer

from services.cli.api.look import Json
from services.cli.api.session import USAGE, session
from services.cli.domain import organisation
from services.cli.handlers import organising
from services.kernel.unit_plan import COLUMNS, PlanUnreadable

org = typer.Typer(no_args_is_help=True, help="The organisation that is in effect: units, changes, plans.")

Day = Annotated[str | None, typer.Option("--on", metavar="DATE", help="On this day; without it today.")]
Root = Annotated[str | None, typer.Option("--root", metavar="UNIT", help="From this unit downwards.")]
Depth = Annotated[int, typer.Option("--depth", min=1, max=50, help="So many levels.")]
File = Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="CSV or JSON, see the README.")]


@org.command("tree")
def tree(ctx: typer.Context, on: Day = None, root: Root = None, depth: Depth = 4, json_: Json = False) -> None:
    """Show the tree on a day."""
    use = session(ctx)
    with use.guarded():
        found = organising.tree(use.orgtree, on, root, depth)
    use.data(found) if json_ else use.show(*organisation.tree(found, use.catalogue))


@org.command("changes")
def changes(ctx: typer.Context, json_: Json = False) -> None:
    """Show what is to change, the nearest first."""
    use = session(ctx)
    with use.guarded():
        found = organising.changes(use.orgtree)
    use.data(found) if json_ else use.show(organisation.changes(found["items"], use.catalogue))


@org.command("problems")
def problems(ctx: typer.Context, json_: Json = False) -> None:
    """Show what has to be looked at."""
    use = session(ctx)
    with use.guarded():
        found = organising.problems(use.orgtree)
    use.data(found) if json_ else use.show(*organisation.problems(found, use.catalogue))


@org.command("targets")
def targets(
    ctx: typer.Context,
    target: Annotated[
        str | None, typer.Argument(metavar="TARGET", help="One of them: what hinders, what was found.")
    ] = None,
    json_: Json = False,
) -> None:
    """Show how units stand in directories."""
    use = session(ctx)
    with use.guarded():
        found = organising.target(use.orgtree, target) if target else organising.targets(use.orgtree)
    if json_:
        use.data(found)
    else:
        use.show(*(organisation.target if target else organisation.targets)(found, use.catalogue))


@org.command("plan")
def plan(ctx: typer.Context, file: File, json_: Json = False) -> None:
    """Show what a reorganisation would change, day by day, before anybody is told of it.

    Exit code 1: something would be wrong.
    """
    use = session(ctx)
    try:
        with use.guarded():
            found = organising.plan(use.orgtree, file)
    except PlanUnreadable as error:
        said = {"columns": ", ".join(error.columns) or "-", "known": ", ".join(COLUMNS), "row": error.row or "-"}
        use.complain(error.code.replace("plan.", "org_"), **said)
        raise typer.Exit(USAGE) from error
    use.data(found) if json_ else use.show(*organisation.plan(found, use.catalogue))
    if any(day["problems"] for day in found["days"]):
        raise typer.Exit(1)
