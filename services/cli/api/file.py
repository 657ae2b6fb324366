"""file plan, apply, status, rejects, release, refuse: files of an HR system, looked at before they are carried out."""

import time
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from services.cli.api.command import Reason, Yes
from services.cli.api.look import Json
from services.cli.api.session import PROBLEM, REJECTED, STOPPED, Session, session
from services.cli.domain import rendering
from services.cli.handlers import filing
from services.cli.ports import JsonObject

file = typer.Typer(no_args_is_help=True, help="Files of an HR system: plan them, look, and apply the plan.")

Id = Annotated[str, typer.Argument(metavar="FILE-ID", help="As `stafett file plan` names it.")]
Interval = Annotated[float, typer.Option(min=0.05, help="Seconds between looks.")]
Persons = Annotated[
    list[str] | None, typer.Option("--person", metavar="ID", help="Only this one, by the source's id; may be repeated.")
]
People = Annotated[int, typer.Option(min=0, help="How many people of the plan to show.")]


@file.command("plan")
def plan(
    ctx: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False)],
    source: Annotated[str, typer.Option("--source", help="The source that it is from.")],
    kind: Annotated[Literal["full", "delta"], typer.Option("--kind", help="Everyone, or some.")],
    made: Annotated[str | None, typer.Option("--made", help="When HR made it, with a zone; now by default.")] = None,
    baseline: Annotated[
        bool, typer.Option("--baseline", help="Who is in it was there before Stafett: no once-only effects.")
    ] = False,
    people: People = 50,
    interval: Interval = 0.5,
    json_: Json = False,
) -> None:
    """Say what a file would do, person by person; nothing is done."""
    use = session(ctx)
    with use.guarded():
        bar = Progress(TextColumn(use.catalogue.say("uploading")), BarColumn(), DownloadColumn(), console=use.err)
        with bar:
            task = bar.add_task("", total=path.stat().st_size)
            said = {"source": source, "kind": kind, "made": made, "baseline": "true" if baseline else None}
            sent = filing.hand_in(use.ingestion, path, lambda size: bar.advance(task, size), **said)
        found = _followed(use, sent["id"], interval)
        shown = [] if found["state"] == "refused" else filing.people(use.ingestion, found["id"], people)
    if json_:
        use.data({**found, "duplicate": sent["duplicate"], "items": shown})
    else:
        if sent["duplicate"]:
            use.show(Text(use.catalogue.say("file_same")))
        _show(use, found)
        if shown:
            use.show(rendering.planned(shown, use.catalogue))
        if found["state"] == "planned":
            use.show(Text(use.catalogue.say("file_next", id=found["id"])))
    _end(use, found)


@file.command("apply")
def apply(ctx: typer.Context, file_id: Id, interval: Interval = 0.5, json_: Json = False) -> None:
    """Carry a plan out; refused when HR has told something new of somebody in it."""
    use = session(ctx)
    with use.guarded():
        use.ingestion.post(f"{filing.PATH}/{file_id}/apply", {})
        found = _followed(use, file_id, interval, over=True)
    if json_:
        use.data(found)
    else:
        _show(use, found)
    _end(use, found)


@file.command("status")
def status(ctx: typer.Context, file_id: Id, json_: Json = False) -> None:
    """Show how far a file has come."""
    use = session(ctx)
    with use.guarded():
        found = use.ingestion.get(f"{filing.PATH}/{file_id}")
    if json_:
        use.data(found)
    else:
        _show(use, found)


@file.command("rejects")
def rejects(
    ctx: typer.Context,
    file_id: Id,
    to: Annotated[Path, typer.Option("--to", dir_okay=False, help="Where the table goes.")] = Path("rejects.csv"),
) -> None:
    """Write what was set aside, with row, column and reason, as CSV."""
    use = session(ctx)
    with use.guarded():
        content = use.ingestion.download(f"{filing.PATH}/{file_id}/rejects", language=use.catalogue.language)
    to.write_bytes(content)
    use.show(Text(use.catalogue.say("rejects_saved", path=to)))


@file.command("release")
def release(
    ctx: typer.Context,
    file_id: Id,
    reason: Reason,
    person: Persons = None,
    yes: Yes = False,
    interval: Interval = 0.5,
    json_: Json = False,
) -> None:
    """Let people leave who are held in a file: all of them, or those named. It cannot be taken back."""
    use = session(ctx)
    _decided(use, file_id, "release", reason, person or [], yes=yes)
    with use.guarded():
        found = _followed(use, file_id, interval, over=True)
    _told(use, found, json_=json_)


@file.command("refuse")
def refuse(
    ctx: typer.Context, file_id: Id, reason: Reason, person: Persons = None, yes: Yes = False, json_: Json = False
) -> None:
    """Keep people who are held in a file: all of them, or those named."""
    use = session(ctx)
    _told(use, _decided(use, file_id, "refuse", reason, person or [], yes=yes), json_=json_)


def _decided(use: Session, file_id: str, verb: str, reason: str, persons: list[str], *, yes: bool) -> JsonObject:
    with use.guarded():
        found = use.ingestion.get(f"{filing.PATH}/{file_id}")
    count = len(set(persons)) if persons else found["counts"].get("held", 0)
    # when nobody is held there is nothing to ask; the service says so
    if count:
        use.confirm(f"confirm_file_{verb}", yes=yes, count=count, name=found["name"] or file_id)
    with use.guarded():
        return filing.decide(use.ingestion, file_id, verb, reason, persons)


def _told(use: Session, found: JsonObject, *, json_: bool) -> None:
    if json_:
        use.data(found)
    else:
        _show(use, found)


def _followed(use: Session, file_id: str, interval: float, *, over: bool = False) -> JsonObject:
    """Watch a file with a bar; it goes on without whoever stops watching."""
    bar = Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), console=use.err)
    found: JsonObject = {}
    try:
        with bar:
            task = bar.add_task(use.catalogue.say("file_working"), total=None)
            for found in filing.watch(use.ingestion, file_id, time.sleep, interval, over=over):
                total = found["persons"] + found["counts"]["missing"]
                left = found["progress"]["toApply"] if over else total - found["progress"]["planned"]
                bar.update(task, total=total or None, completed=total - left, description=_word(use, found))
    except KeyboardInterrupt:
        use.complain("file_goes_on", id=file_id)
        raise typer.Exit(STOPPED) from None
    return found


def _word(use: Session, found: JsonObject) -> str:
    return use.catalogue.code(f"file.{found['state']}")


def _show(use: Session, found: JsonObject) -> None:
    kind = use.catalogue.code(f"file.{found['kind']}")
    use.show(Text(use.catalogue.say("file_line", **{**found, "kind": kind, "word": _word(use, found)})))
    if found["code"]:
        use.show(Text(use.catalogue.sentence(found["code"], found["parameters"]), style="red"))
    use.show(rendering.counts(found["counts"], use.catalogue))
    if found["state"] == "done" and found["counts"].get("held"):
        use.show(Text(use.catalogue.say("file_held", count=found["counts"]["held"], id=found["id"])))


def _end(use: Session, found: JsonObject) -> None:
    if found["state"] == "refused":
        raise typer.Exit(PROBLEM)
    if found["counts"]["rejectedRows"]:
        use.complain("file_rejects", count=found["counts"]["rejectedRows"], id=found["id"])
        raise typer.Exit(REJECTED)
