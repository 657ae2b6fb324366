"""The only place that wires."""

from collections.abc import Callable
from typing import Annotated, Literal

import typer
from rich.console import Console

from services.cli.adapters.http import HttpApi
from services.cli.api import command, look, operate
from services.cli.api.access import access
from services.cli.api.activation import activation
from services.cli.api.baseline import baseline
from services.cli.api.erase import erase
from services.cli.api.file import file
from services.cli.api.identity import identity
from services.cli.api.organise import org
from services.cli.api.reconcile import drift, target
from services.cli.api.session import Session
from services.cli.api.takeover import takeover
from services.cli.domain.catalogue import Catalogue, language_of
from services.cli.domain.failures import TokenMissing
from services.cli.settings import Settings

_WIDE = 200


def token_of(settings: Settings) -> Callable[[], str]:
    """Return what reads the token: given in the environment, else from the file, anew each time."""

    def read() -> str:
        if settings.token is not None:
            return settings.token.get_secret_value()
        if settings.token_file is None:
            raise TokenMissing
        try:
            return settings.token_file.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise TokenMissing from error

    return read


def console(settings: Settings, *, stderr: bool = False) -> Console:
    """Return a console; into a file or a pipe it writes lines that are wide enough for every id."""
    found = Console(stderr=stderr)
    if not found.is_terminal and not settings.columns:
        return Console(stderr=stderr, width=_WIDE)
    return found


def build(settings: Settings) -> typer.Typer:
    """Return the command line."""
    app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
    token = token_of(settings)

    @app.callback()
    def start(
        ctx: typer.Context,
        lang: Annotated[Literal["sv", "en"] | None, typer.Option(help="Language of the texts.")] = None,
    ) -> None:
        """Joiners, movers and leavers from a terminal."""
        urls = (settings.status_url, settings.ingestion_url, settings.accounts_url, settings.orgtree_url)
        status, ingestion, accounts, orgtree = (HttpApi(url, token) for url in urls)
        for api in (status, ingestion, accounts, orgtree):
            ctx.call_on_close(api.close)
        ctx.obj = Session(
            status=status,
            ingestion=ingestion,
            accounts=accounts,
            orgtree=orgtree,
            catalogue=Catalogue(lang or language_of(settings.lang)),
            out=console(settings),
            err=console(settings, stderr=True),
        )

    app.command("import")(look.import_)
    for function in (
        look.person,
        look.case,
        look.follow,
        look.explain,
        look.holds,
        command.release,
        command.refuse,
        command.retry,
        command.reverify,
        command.skip,
        command.command,
        command.replay,
        command.redeliver,
        operate.operations,
        operate.retention,
        operate.dead,
        operate.pause,
        operate.resume,
        erase,
    ):
        app.command()(function)
    app.add_typer(operate.policy, name="policy")
    app.add_typer(access, name="access")
    app.add_typer(activation, name="activation")
    app.add_typer(file, name="file")
    app.add_typer(baseline, name="baseline")
    app.add_typer(identity, name="identity")
    app.add_typer(target, name="target")
    app.add_typer(drift, name="drift")
    app.add_typer(takeover, name="takeover")
    app.add_typer(org, name="org")
    return app
