"""release, refuse, retry, replay, redeliver."""

from typing import Annotated

import typer
from rich.text import Text

from services.cli.api.look import Json
from services.cli.api.session import PROBLEM, STOPPED, USAGE, Session, session
from services.cli.domain import rendering
from services.cli.handlers import commanding, looking
from services.cli.ports import JsonObject

Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept in the audit log.")]
Service = Annotated[str, typer.Option("--service", help="The service that owns the work.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Hold = Annotated[str | None, typer.Argument(metavar="HOLD")]
All = Annotated[bool, typer.Option("--all")]


def _told(use: Session, answers: list[JsonObject], json_: bool) -> None:
    if json_:
        use.data({"commands": answers})
        return
    for answer in answers:
        use.show(Text(use.catalogue.say("sent", **answer)))


def _one_or_all(use: Session, what: str, one: str | None, everything: bool) -> None:
    if (one is None) != everything:
        use.complain("not_both" if everything else "one_missing", what=what)
        raise typer.Exit(USAGE)


def _decide(use: Session, type_: str, hold: str | None, reason: str, *, yes: bool = False, json_: bool) -> None:
    with use.guarded():
        found = [one for one in looking.all_holds(use.status) if hold is None or one["hold"] == hold]
        if hold is not None and not found:
            use.complain("unknown_hold", hold=hold)
            raise typer.Exit(PROBLEM)
        if hold is None:
            _release_all(use, found, reason, yes=yes, json_=json_)
            return
        _told(use, commanding.decide_all(use.status, type_, found, reason), json_)


def _release_all(use: Session, held: list[JsonObject], reason: str, *, yes: bool, json_: bool) -> None:
    found = [one for one in held if not rendering.is_refused(one)]
    if found and not yes:
        use.err.print(rendering.holds(found, use.catalogue))
        if not typer.confirm(use.catalogue.say("confirm_release", count=len(found)), err=True):
            raise typer.Exit(STOPPED)
    answers = commanding.decide_all(use.status, "release", found, reason)
    if json_:
        use.data({"commands": answers})
    elif answers:
        services = ", ".join(sorted({answer["service"] for answer in answers}))
        use.show(Text(use.catalogue.say("released", count=len(answers), services=services)))
    elif held:
        use.show(Text(use.catalogue.say("only_refused", count=len(held))))
    else:
        use.show(Text(use.catalogue.say("no_holds"), style="green"))


def release(
    ctx: typer.Context, reason: Reason, hold: Hold = None, all_: All = False, yes: Yes = False, json_: Json = False
) -> None:
    """Let a held removal through, or all that are held now. All asks first, for it cannot be undone."""
    use = session(ctx)
    _one_or_all(use, "HOLD", hold, all_)
    _decide(use, "release", hold, reason, yes=yes, json_=json_)


def refuse(ctx: typer.Context, hold: Annotated[str, typer.Argument()], reason: Reason, json_: Json = False) -> None:
    """Say that a held removal shall not happen."""
    _decide(session(ctx), "refuse", hold, reason, json_=json_)


def retry(
    ctx: typer.Context,
    service: Service,
    reason: Reason,
    person: Annotated[str | None, typer.Argument(metavar="PERSON")] = None,
    all_: All = False,
    target: Annotated[str | None, typer.Option(help="Only at this target.")] = None,
    json_: Json = False,
) -> None:
    """Try parked and waiting work again, for one person or for all."""
    use = session(ctx)
    _one_or_all(use, "PERSON", person, all_)
    with use.guarded():
        who = None if person is None else str(looking.person_id(use.status, person))
        answer = commanding.command(use.status, "retry", service, reason, person=who, target=target)
    _told(use, [answer], json_)


def redeliver(ctx: typer.Context, service: Service, reason: Reason = "redeliver", json_: Json = False) -> None:
    """Take a service's dead letters through its intake once more."""
    use = session(ctx)
    with use.guarded():
        answer = commanding.command(use.status, "redeliver", service, reason)
    _told(use, [answer], json_)


def replay(
    ctx: typer.Context,
    to: Annotated[str, typer.Option("--to", help="The service that shall be told everything once more.")],
    reason: Reason = "replay",
    json_: Json = False,
) -> None:
    """Ask every producer to tell a service everything once more, under the same ids."""
    use = session(ctx)
    with use.guarded():
        answer = commanding.replay(use.status, to, reason)
    if json_:
        use.data(answer)
    else:
        use.show(Text(use.catalogue.say("replay", producers=", ".join(answer["producers"]), to=answer["to"])))
