"""activation issue, show: the code by which somebody chooses the first password."""

from typing import Annotated

import typer
from rich.text import Text

from services.cli.api.command import Reason
from services.cli.api.look import Json
from services.cli.api.session import session
from services.cli.domain.rendering import when
from services.cli.handlers import activating

activation = typer.Typer(no_args_is_help=True, help="The code by which somebody chooses the first password.")

Who = Annotated[str, typer.Argument(metavar="PERSON")]


@activation.command("issue")
def issue(ctx: typer.Context, person: Who, reason: Reason, json_: Json = False) -> None:
    """Issue a code and show it, this once; the one before it is worth nothing any more."""
    use = session(ctx)
    with use.guarded():
        made = activating.issue(use, person, reason)
    if json_:
        use.data(made)
        return
    use.show(Text(made["code"], style="bold"))
    use.show(Text(use.catalogue.say("activation_issued", login=made["userName"], until=when(made["expiresAt"]))))
    if made["opensAt"]:
        use.show(Text(use.catalogue.say("activation_opens", at=when(made["opensAt"]))))


@activation.command("show")
def show(ctx: typer.Context, person: Who, json_: Json = False) -> None:
    """Show how somebody's newest code stands: never the code."""
    use = session(ctx)
    with use.guarded():
        found = activating.state(use, person)
    if json_:
        use.data(found)
        return
    use.show(Text(use.catalogue.code(f"activation.{found['state']}")))
    if found["issuedAt"]:
        by, at, until = found["issuedBy"], when(found["issuedAt"]), when(found["expiresAt"])
        use.show(Text(use.catalogue.say("activation_by", actor=by, at=at, until=until)))
