"""baseline show, measure: what a case took before Stafett, so that effects can be told from the start."""

from typing import Annotated, Literal

import typer
from rich.text import Text

from services.cli.api.look import Json
from services.cli.api.session import session
from services.cli.domain import rendering

baseline = typer.Typer(no_args_is_help=True, help="What a case took before Stafett: measured, or assumed until then.")

PATH = "/v1/baseline"


@baseline.command("show")
def show(ctx: typer.Context, json_: Json = False) -> None:
    """Show what holds for each kind of case, and what is only assumed."""
    use = session(ctx)
    with use.guarded():
        found = use.status.get(PATH)
    if json_:
        use.data(found)
        return
    if found["items"]:
        use.show(rendering.baseline(found["items"], use.catalogue))
    for kind, minutes in found["assumed"].items():
        use.show(Text(use.catalogue.say("baseline_assumed", kind=use.catalogue.code(kind), minutes=minutes)))
    if not found["items"]:
        use.show(Text(use.catalogue.say("baseline_none")))


@baseline.command("measure")
def measure(
    ctx: typer.Context,
    kind: Annotated[Literal["joiner", "mover", "leaver", "order"], typer.Argument(help="What was timed.")],
    minutes: Annotated[float, typer.Option(min=0, help="Hands-on minutes of a case, the mean.")],
    measured_on: Annotated[str, typer.Option("--measured-on", metavar="DATE", help="The day, as 2026-10-01.")],
    cases: Annotated[int, typer.Option(min=1, help="How many cases were timed.")],
    lead_hours: Annotated[float | None, typer.Option(min=0, help="From HR's word until all was done, median.")] = None,
    note: Annotated[str | None, typer.Option(help="How it was measured.")] = None,
    json_: Json = False,
) -> None:
    """Tell what was measured. What was told before stays."""
    use = session(ctx)
    body = {
        "kind": kind, "minutes": minutes, "leadHours": lead_hours, "measuredOn": measured_on, "cases": cases,
        "note": note,
    }  # fmt: skip
    with use.guarded():
        found = use.status.post(PATH, {name: value for name, value in body.items() if value is not None})
    if json_:
        use.data(found)
    else:
        use.show(rendering.baseline([found], use.catalogue))
