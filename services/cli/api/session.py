"""What every command has at hand."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import typer
from rich.console import Console, RenderableType

from services.cli.domain import rendering
from services.cli.domain.catalogue import Catalogue
from services.cli.domain.failures import ApiProblem, TokenMissing, Unreachable
from services.cli.handlers.looking import NobodyFound, SeveralFound
from services.cli.ports import Api

REJECTED, USAGE, PROBLEM, UNREACHABLE, TIMED_OUT, STOPPED = 1, 2, 3, 4, 5, 130
"""Exit codes."""


@dataclass
class Session:
    """The APIs, the language, and where to write."""

    status: Api
    ingestion: Api
    accounts: Api
    orgtree: Api
    catalogue: Catalogue
    out: Console
    err: Console

    def show(self, *parts: RenderableType) -> None:
        """Show something to a person."""
        for part in parts:
            self.out.print(part)

    def data(self, value: object) -> None:
        """Write an answer as JSON, for a program."""
        sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")

    def complain(self, message: str, **values: object) -> None:
        """Say on standard error what is wrong."""
        self.err.print(self.catalogue.say(message, **values), markup=False, style="red", soft_wrap=True)

    def confirm(self, question: str, *, yes: bool = False, **values: object) -> None:
        """Ask on standard error, unless `yes` was said already; whoever does not agree is out, with `STOPPED`."""
        if not yes and not typer.confirm(self.catalogue.say(question, **values), err=True):
            raise typer.Exit(STOPPED)

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Turn what goes wrong into words and an exit code."""
        try:
            yield
        except ApiProblem as problem:
            for part in rendering.problem(problem, self.catalogue):
                self.err.print(part, soft_wrap=True)
            raise typer.Exit(PROBLEM) from problem
        except Unreachable as error:
            self.complain("unreachable", url=error.url)
            raise typer.Exit(UNREACHABLE) from error
        except TokenMissing as error:
            self.complain("token_missing")
            raise typer.Exit(UNREACHABLE) from error
        except NobodyFound as error:
            self.complain("none_found", query=str(error))
            raise typer.Exit(PROBLEM) from error
        except SeveralFound as error:
            self.complain("several_found")
            self.err.print(rendering.persons(error.page["items"], self.catalogue))
            raise typer.Exit(PROBLEM) from error


def session(ctx: typer.Context) -> Session:
    """Return the session that bootstrap put there."""
    found = ctx.obj
    assert isinstance(found, Session)  # noqa: S101 - bootstrap's callback has run
    return found
