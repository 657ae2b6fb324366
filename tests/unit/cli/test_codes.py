"""Every code that a service shows to people has a text in both languages."""

import ast
import re
from collections.abc import Iterator

from deploy.local.settings import ROOT
from services.accounts.adapters import openldap
from services.cli.domain.texts import CODES
from services.kernel.directory import client
from services.kernel.failures import Failure
from services.kernel.settings import load_organisations

_CODE = re.compile(r"[a-z_]+\.[a-z_]+")
_SHOWN = {"ProblemError", "FieldError", "Violation", "_unauthorised", "refused"}
# names of exchanges, which stand alone in a module as codes do
_NO_CODES = {"stafett.commands", "stafett.dead", "stafett.events", "stafett.unrouted"}
# where the classes of failures that are not the kernel's own are made
_MODULES = (openldap, client)


def failures(of: type[Failure] = Failure) -> set[str]:
    return {of.__name__}.union(*(failures(below) for below in of.__subclasses__()))


def codes(node: ast.AST, shown: set[str], *, here: bool) -> Iterator[str]:
    """Yield the codes in calls that make a failure or a problem, and those that stand alone in a module."""
    match node:
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
            here = name in shown
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            here = False
        case ast.Constant(value=str() as text) if here and _CODE.fullmatch(text):
            yield text
        case _:
            pass
    for child in ast.iter_child_nodes(node):
        yield from codes(child, shown, here=here)


def test_every_code_that_is_shown_has_a_text() -> None:
    shown = _SHOWN | failures()
    files = [file for file in (ROOT / "services").rglob("*.py") if "cli" not in file.parts]
    found = {code for file in files for code in codes(ast.parse(file.read_text("utf-8")), shown, here=True)}
    assert {"work.unreadable", "employment.end_missing", "unit.unknown", "account.deleted"} <= found
    assert sorted(found - _NO_CODES - CODES.keys()) == []


def test_every_delivered_target_has_a_name() -> None:
    rows = load_organisations(ROOT / "deploy/local/organisations.toml").values()
    named = {target for row in rows for target in row.targets}
    assert sorted(named - CODES.keys()) == []
    assert len(named) == 3
