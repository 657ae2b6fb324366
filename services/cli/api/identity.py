"""identity list, show, same, separate, merge, split, retire: who is who, where only a person can say."""

from typing import Annotated

import typer
from rich.text import Text

from services.cli.api.command import Reason, Yes
from services.cli.api.look import Json
from services.cli.api.session import USAGE, Session, session
from services.cli.domain import identities
from services.cli.handlers import deciding, identifying
from services.cli.ports import JsonObject

identity = typer.Typer(
    no_args_is_help=True, help="Who is who: questions that only a person can answer, and records that are one or two."
)

CaseId = Annotated[str, typer.Argument(metavar="CASE", help="As `stafett identity list` names it.")]
Everything = Annotated[bool, typer.Option("--all", help="Those that are decided too.")]
Keep = Annotated[
    str | None, typer.Option("--keep", metavar="PERSON", help="Whose id and account go on; who was known before.")
]
Ids = Annotated[list[str], typer.Option("--id", metavar="SOURCE=EXTERNAL", help="Another person's; may be repeated.")]


@identity.command("list")
def list_(ctx: typer.Context, all_: Everything = False, json_: Json = False) -> None:
    """List the questions that wait, oldest first."""
    use = session(ctx)
    with use.guarded():
        found = identifying.listed(use.ingestion, everything=all_)
    if json_:
        use.data({"items": found})
    else:
        use.show(identities.cases(found, use.catalogue) if found else Text(use.catalogue.say("no_identity")))


@identity.command("show")
def show(ctx: typer.Context, case_id: CaseId, json_: Json = False) -> None:
    """Show both people side by side."""
    use = session(ctx)
    with use.guarded():
        found = identifying.case(use.ingestion, case_id)
    _case(use, found, json_=json_)


@identity.command("same")
def same(
    ctx: typer.Context, case_id: CaseId, reason: Reason, keep: Keep = None, yes: Yes = False, json_: Json = False
) -> None:
    """Say that two are one. Whom you keep decides which account the person goes on with."""
    use = session(ctx)
    with use.guarded():
        found = identifying.case(use.ingestion, case_id)
    kept, gone = found["person"], found["other"]
    if keep == gone["id"]:
        kept, gone = gone, kept
    use.confirm("confirm_same", yes=yes, kept=identities.name(kept), gone=identities.name(gone))
    with use.guarded():
        done = identifying.decide(use.ingestion, case_id, "same", reason, keep)
    _case(use, done, json_=json_)


@identity.command("separate")
def separate(ctx: typer.Context, case_id: CaseId, reason: Reason, yes: Yes = False, json_: Json = False) -> None:
    """Say that two are two. An id that came back is told of as somebody new."""
    use = session(ctx)
    with use.guarded():
        found = identifying.case(use.ingestion, case_id)
    question = "confirm_returned" if found["kind"] == "id_returned" else "confirm_separate"
    use.confirm(question, yes=yes, person=identities.name(found["person"]), other=identities.name(found["other"]))
    with use.guarded():
        done = identifying.decide(use.ingestion, case_id, "separate", reason)
    _case(use, done, json_=json_)


@identity.command("merge")
def merge(
    ctx: typer.Context,
    keep: Annotated[str, typer.Argument(metavar="KEEP")],
    absorb: Annotated[str, typer.Argument(metavar="ABSORB")],
    reason: Reason,
    yes: Yes = False,
    json_: Json = False,
) -> None:
    """Let two records be one person's: KEEP goes on, ABSORB becomes an alias. A split takes it back."""
    use = session(ctx)
    with use.guarded():
        kept, gone = deciding.somebody(use, keep), deciding.somebody(use, absorb)
    use.confirm("confirm_same", yes=yes, kept=kept["name"], gone=gone["name"])
    with use.guarded():
        done = identifying.merge(use.ingestion, kept["id"], gone["id"], reason)
    _known(use, done, json_=json_)


@identity.command("split")
def split(
    ctx: typer.Context,
    person: Annotated[str, typer.Argument(metavar="PERSON")],
    id_: Ids,
    reason: Reason,
    yes: Yes = False,
    json_: Json = False,
) -> None:
    """Let ids be another person's: the record they came from by a merge, else somebody new."""
    use = session(ctx)
    try:
        ids = identifying.pairs(id_)
    except identifying.NoPair as error:
        use.complain("no_pair", text=error)
        raise typer.Exit(USAGE) from error
    with use.guarded():
        who = deciding.somebody(use, person)
    use.confirm("confirm_split", yes=yes, name=who["name"], ids=", ".join(one["externalId"] for one in ids))
    with use.guarded():
        done = identifying.split(use.ingestion, who["id"], ids, reason)
    _known(use, done, json_=json_)


@identity.command("retire")
def retire(
    ctx: typer.Context,
    alias: Annotated[str, typer.Argument(metavar="ALIAS")],
    reason: Reason,
    yes: Yes = False,
    json_: Json = False,
) -> None:
    """Wind up what hangs on an alias, as for somebody who leaves."""
    use = session(ctx)
    with use.guarded():
        who = deciding.somebody(use, alias)
    logins = ", ".join(one["userName"] for one in who["targets"] if one["userName"])
    use.confirm("confirm_retire", yes=yes, name=who["name"], logins=logins or "-")
    with use.guarded():
        done = identifying.retire(use.ingestion, who["id"], reason)
    _known(use, done, json_=json_)


def _case(use: Session, found: JsonObject, *, json_: bool) -> None:
    if json_:
        use.data(found)
        return
    use.show(*identities.case(found, use.catalogue))


def _known(use: Session, found: JsonObject, *, json_: bool) -> None:
    if json_:
        use.data(found)
        return
    for one in filter(None, (found, found.get("other"))):
        if one["aliasOf"]:
            use.show(Text(use.catalogue.say("identity_alias", id=one["person"], of=one["aliasOf"])))
        else:
            use.show(Text(one["person"], style="bold"), identities.known_as(one["ids"], use.catalogue))
