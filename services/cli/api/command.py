"""release, refuse, retry, reverify, command, replay, redeliver."""

from typing import Annotated

import typer
from rich.text import Text

from services.cli.api.look import Json
from services.cli.api.session import PROBLEM, USAGE, Session, session
from services.cli.domain import rendering
from services.cli.domain.failures import ApiProblem
from services.cli.handlers import commanding, looking
from services.cli.ports import JsonObject

Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept in the audit log.")]
Service = Annotated[str, typer.Option("--service", help="The service that owns the work.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Person = Annotated[str | None, typer.Argument(metavar="PERSON")]
Only = Annotated[str | None, typer.Option("--target", help="Only at this target.")]
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
        _told(use, [commanding.command(use.status, type_, found[0]["service"], reason, hold=hold)], json_)


def _release_all(use: Session, held: list[JsonObject], reason: str, *, yes: bool, json_: bool) -> None:
    found = [one for one in held if not rendering.is_refused(one)]
    if found and not yes:
        use.err.print(rendering.holds(found, use.catalogue))
        use.confirm("confirm_release", count=len(found))
    answers: list[JsonObject] = []
    meanwhile: list[str] = []
    try:
        for one, answer in commanding.decide_all(use.status, "release", found, reason):
            if answer is None:
                meanwhile.append(one)
            else:
                answers.append(answer)
    finally:
        # also when something stopped it half-way: what was done is told
        _released(use, answers, meanwhile, len(held), json_=json_)


def _released(use: Session, answers: list[JsonObject], meanwhile: list[str], held: int, *, json_: bool) -> None:
    if json_:
        use.data({"commands": answers, "decidedMeanwhile": meanwhile})
        return
    if answers:
        services = ", ".join(sorted({answer["service"] for answer in answers}))
        use.show(Text(use.catalogue.say("released", count=len(answers), services=services)))
    if meanwhile:
        use.show(Text(use.catalogue.say("meanwhile", count=len(meanwhile))))
    if not answers and not meanwhile:
        nothing = Text(use.catalogue.say("no_holds"), style="green")
        use.show(Text(use.catalogue.say("only_refused", count=held)) if held else nothing)


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
    person: Person = None,
    all_: All = False,
    target: Only = None,
    yes: Yes = False,
    json_: Json = False,
) -> None:
    """Try parked and waiting work again, for one person or for all. Many are confirmed by their number."""
    _ask(session(ctx), "retry", service, reason, person, target, everything=all_, yes=yes, json_=json_)


def skip(
    ctx: typer.Context,
    service: Service,
    reason: Reason,
    person: Annotated[str, typer.Argument(metavar="PERSON")],
    target: Only = None,
    json_: Json = False,
) -> None:
    """Let what cannot be done for a person count as not to be done, until HR's next word. Never a removal."""
    _ask(session(ctx), "skip", service, reason, person, target, everything=False, yes=False, json_=json_)


def reverify(
    ctx: typer.Context,
    service: Service,
    reason: Reason,
    person: Person = None,
    all_: All = False,
    target: Only = None,
    yes: Yes = False,
    json_: Json = False,
) -> None:
    """Look at the target again and put right what differs, for one person or for all."""
    _ask(session(ctx), "reverify", service, reason, person, target, everything=all_, yes=yes, json_=json_)


def _ask(
    use: Session,
    type_: str,
    service: str,
    reason: str,
    person: str | None,
    target: str | None,
    *,
    everything: bool,
    yes: bool,
    json_: bool,
) -> None:
    _one_or_all(use, "PERSON", person, everything)
    with use.guarded():
        who = None if person is None else str(looking.person_id(use.status, person))
        answer = _confirmed(use, "confirm_command", yes, type_, service, reason, person=who, target=target)
    _told(use, [answer], json_)


def _confirmed(
    use: Session, question: str, yes: bool, type_: str, service: str, reason: str, **narrow: str | None
) -> JsonObject:
    """Give a command; what it concerns is confirmed by its number when it is much."""
    try:
        return commanding.command(use.status, type_, service, reason, **narrow)
    except ApiProblem as problem:
        if problem.code != "command.confirm":
            raise
        use.confirm(question, yes=yes, count=problem.matches)
        return commanding.command(use.status, type_, service, reason, matches=problem.matches, **narrow)


def command(ctx: typer.Context, id_: Annotated[str, typer.Argument(metavar="ID")], json_: Json = False) -> None:
    """Tell what has become of a command."""
    use = session(ctx)
    with use.guarded():
        found = use.status.get(f"/v1/commands/{id_}")
    if json_:
        use.data(found)
        return
    progress = ", ".join(f"{use.catalogue.code(state)} {count}" for state, count in sorted(found["progress"].items()))
    word = "command_done" if found["carriedOutAt"] else "command_open"
    use.show(Text(use.catalogue.say(word, **{**found, "progress": progress or "-"})))


def redeliver(
    ctx: typer.Context, service: Service, reason: Reason = "redeliver", yes: Yes = False, json_: Json = False
) -> None:
    """Take a service's dead letters through its intake once more. Many are confirmed by their number."""
    use = session(ctx)
    with use.guarded():
        answer = _confirmed(use, "confirm_letters", yes, "redeliver", service, reason)
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
