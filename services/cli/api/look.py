"""import, person, case, follow, explain, holds."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from services.cli.api.session import REJECTED, STOPPED, TIMED_OUT, USAGE, Session, session
from services.cli.domain import rendering
from services.cli.handlers import importing, looking

Json = Annotated[bool, typer.Option("--json", help="Write the answer as JSON.")]


def import_(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CloudEvents, one to a line.")],
    rejects: Annotated[Path | None, typer.Option(help="Where rejected lines go; beside FILE by default.")] = None,
    json_: Json = False,
) -> None:
    """Send a file of events to ingestion. Run it again after an interruption: ids make it safe."""
    use = session(ctx)
    target = rejects or file.with_name(file.name + ".rejects.jsonl")
    bar = Progress(
        TextColumn(use.catalogue.say("importing")),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=use.err,
    )
    with use.guarded(), bar, file.open("rb") as source:
        task = bar.add_task("", total=file.stat().st_size)
        found = importing.send(use.ingestion, source, lambda size: bar.advance(task, size))
    importing.write_rejects(found, target)
    if json_:
        use.data({"verdicts": found.verdicts, "rejects": [vars(one) for one in found.rejects]})
    else:
        use.show(rendering.tally(found, use.catalogue))
    if not found.verdicts:
        use.complain("empty_file")
    if found.rejects:
        use.complain("rejects_written", count=len(found.rejects), path=target)
        raise typer.Exit(REJECTED)


def person(
    ctx: typer.Context,
    who: Annotated[str, typer.Argument(metavar="QUERY|ID", help="Beginnings of name, login, mail, number; or an id.")],
    json_: Json = False,
) -> None:
    """Show a person, or everyone who matches."""
    use = session(ctx)
    with use.guarded():
        try:
            detail = use.status.get(f"/v1/persons/{looking.person_id(use.status, who)}")
        except looking.SeveralFound as several:
            if json_:
                use.data(several.page)
                return
            use.show(rendering.persons(several.page["items"], use.catalogue))
            if several.page["cursor"]:
                use.show(Text(use.catalogue.say("more"), style="dim"))
            return
        if json_:
            use.data(detail)
        else:
            use.show(*rendering.person(detail, use.catalogue))


def case(ctx: typer.Context, case_id: Annotated[str, typer.Argument(metavar="ID")], json_: Json = False) -> None:
    """Show a case: its steps, what remains, how long it took."""
    use = session(ctx)
    given = looking.as_uuid(case_id)
    if given is None:
        use.complain("not_an_id", text=case_id)
        raise typer.Exit(USAGE)
    with use.guarded():
        detail = use.status.get(f"/v1/cases/{given}")
        if json_:
            use.data(detail)
        else:
            use.show(*rendering.case(detail, use.catalogue))


def follow(
    ctx: typer.Context,
    what: Annotated[str, typer.Argument(metavar="CASE|PERSON")],
    interval: Annotated[float, typer.Option(min=0.05, help="Seconds between looks.")] = 0.5,
    timeout: Annotated[float | None, typer.Option(min=0, help="Give up after so many seconds.")] = None,
    json_: Json = False,
) -> None:
    """Watch a case, or a person's open cases, until done."""
    use = session(ctx)
    try:
        with use.guarded():
            last = _watch(use, what, interval, timeout, quiet=json_)
    except KeyboardInterrupt:
        use.complain("stopped")
        raise typer.Exit(STOPPED) from None
    except TimeoutError:
        use.complain("timed_out", seconds=timeout)
        raise typer.Exit(TIMED_OUT) from None
    if json_:
        use.data(last)
    elif not last:
        use.show(Text(use.catalogue.say("no_open_cases")))


def _watch(use: Session, what: str, interval: float, timeout: float | None, *, quiet: bool) -> list[dict[str, Any]]:
    ids = looking.cases_of(use.status, what)
    last: list[dict[str, Any]] = []
    if not ids:
        return last
    looks = looking.follow(use.status, ids, time.sleep, interval=interval, timeout=timeout)
    console = use.err if quiet else use.out
    if not console.is_terminal:
        return _told_in_lines(use, looks, quiet=quiet)
    with Live(console=console, auto_refresh=False) as live:
        for last in looks:
            live.update(Group(*(part for one in last for part in rendering.case(one, use.catalogue))), refresh=True)
    return last


def _told_in_lines(use: Session, looks: Iterator[list[dict[str, Any]]], *, quiet: bool) -> list[dict[str, Any]]:
    """Write a line on standard error whenever something has changed, and at the end the whole."""
    told: dict[str, str] = {}
    last: list[dict[str, Any]] = []
    for last in looks:
        for one in last:
            line = rendering.progress(one, use.catalogue)
            if told.get(one["id"]) != line.plain:
                told[one["id"]] = line.plain
                use.err.print(line, soft_wrap=True)
    if not quiet:
        use.show(*(part for one in last for part in rendering.case(one, use.catalogue)))
    return last


def explain(ctx: typer.Context, who: Annotated[str, typer.Argument(metavar="PERSON")], json_: Json = False) -> None:
    """Tell why: which facts of HR, which revision, which policy rows."""
    use = session(ctx)
    with use.guarded():
        found = looking.explanation(use.status, use.ingestion, who)
    if json_:
        use.data(found)
        return
    detail = found["person"]
    use.show(Text(f"{detail['name']}  {detail['id']}", style="bold"))
    if found["facts"] is None:
        use.show(Text(use.catalogue.say("no_facts", title=found["factsProblem"]), style="yellow"))
    else:
        use.show(Text(use.catalogue.say("facts"), style="bold"), rendering.facts(found["facts"], use.catalogue))
    use.show(*rendering.reasons(detail, use.catalogue))


def holds(ctx: typer.Context, json_: Json = False) -> None:
    """List what the guard holds."""
    use = session(ctx)
    with use.guarded():
        found = looking.all_holds(use.status)
    if json_:
        use.data({"items": found})
    elif found:
        use.show(rendering.holds(found, use.catalogue))
    else:
        use.show(Text(use.catalogue.say("no_holds"), style="green"))
