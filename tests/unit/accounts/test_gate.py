"""The gate: every write asks it, and nothing else reaches a target."""

import ast
import inspect
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from typing_extensions import override

from deploy.local.settings import ROOT
from services.accounts.domain.grants import Grant, GrantKind
from services.accounts.domain.plan import Change, Create, Observed, Removal
from services.accounts.handlers.gate import Gate
from services.accounts.ports import AccountDirectory, Stamp
from services.kernel.failures import Permanent
from services.kernel.gate import Mode, Rules, Withheld
from services.kernel.marks import Mark
from tests.support.directory import MemoryDirectory

READS = {"holders", "find", "fit", "held", "pages", "probe", "read"}
PLACES = {"alvsund": "ou=alvsund,dc=x"}
STAMP = Stamp("alvsund", uuid4(), Mark(1, 1), 1, admitted=frozenset(Removal))
GROUP = Grant(GrantKind.GROUP, "g")


def observed(place: str = "uid=a,ou=people,ou=alvsund,dc=x") -> Observed:
    return Observed(place, "1", "a", True, Mark(1, 1), {}, "1.1", place=place)


WRITES: dict[str, tuple[Any, ...]] = {
    "add": ("a", Create(False, {})),
    "change": (observed(), Change({}, enabled=False)),
    "delete": (observed(),),
    "adopt": (observed(),),
    "grant": (observed(), GROUP),
    "revoke": (observed(), GROUP),
    "set_password": (observed(), "x" * 12),
}


class Untouchable(MemoryDirectory):
    """Fails when anything but a read reaches it."""

    @override
    def __getattribute__(self, name: str) -> Any:
        if name in WRITES:
            raise AssertionError(name)
        return super().__getattribute__(name)


def test_every_method_of_the_port_is_known_as_a_read_or_a_write() -> None:
    port = {name for name, _ in inspect.getmembers(AccountDirectory, inspect.isfunction) if not name.startswith("_")}
    assert port == READS | WRITES.keys()


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize(
    ("rules", "stamp", "code"),
    [
        (Rules(Mode.DRY_RUN, places=PLACES), STAMP, "target.dry_run"),
        (Rules(Mode.READ_ONLY, places=PLACES), STAMP, "target.read_only"),
        (Rules(subtrees=("ou=bergby,dc=x",), places=PLACES), STAMP, "target.outside"),
        (Rules(subtrees=("vsund,dc=x",), places=PLACES), STAMP, "target.outside"),
        (Rules(places=PLACES), replace(STAMP, live=False), "target.not_live"),
    ],
)
async def test_what_the_rules_do_not_allow_never_reaches_the_target(
    write: str, rules: Rules, stamp: Stamp, code: str
) -> None:
    gate = Gate(Untouchable(), rules)
    if (write, code) == ("adopt", "target.not_live"):  # marks are written before a unit goes live
        with pytest.raises(AssertionError, match="adopt"):
            await gate.adopt(observed(), stamp)
        return
    with pytest.raises(Withheld) as withheld:
        await getattr(gate, write)(*WRITES[write], stamp)
    assert (withheld.value.code, dict(withheld.value.parameters)) == (code, {"action": write})


@pytest.mark.parametrize(("write", "removal"), [("change", "disable"), ("delete", "delete"), ("revoke", "revoke")])
async def test_nothing_is_taken_away_that_the_guard_was_not_asked_about(write: str, removal: str) -> None:
    others = STAMP.admitted - {Removal(removal)}
    with pytest.raises(Permanent) as refused:
        await getattr(Gate(Untouchable(), Rules()), write)(*WRITES[write], replace(STAMP, admitted=others))
    assert (refused.value.code, dict(refused.value.parameters)) == ("guard.not_asked", {"action": removal})


async def test_what_lies_below_an_allowed_subtree_is_written() -> None:
    memory = MemoryDirectory()
    gate = Gate(memory, Rules(subtrees=("OU=Alvsund, DC=x",), places=PLACES))
    added = await gate.add("a", Create(True, {}), STAMP)
    assert (added.user_name, memory.writes) == ("a", 1)


def test_bootstrap_alone_makes_adapters_and_each_goes_into_a_gate() -> None:
    adapters = {
        node.name
        for file in (ROOT / "services/accounts/adapters").glob("*.py")
        for node in ast.parse(file.read_text("utf-8")).body
        if isinstance(node, ast.ClassDef) and any(m.name == "set_password" for m in node.body if hasattr(m, "name"))
    }
    assert "OpenLdapAccounts" in adapters
    made: list[str] = []
    for file in (ROOT / "services").rglob("*.py"):
        tree = ast.parse(file.read_text("utf-8"))
        gated = {
            id(argument)
            for call in ast.walk(tree)
            if isinstance(call, ast.Call) and _name(call) == "Gate"
            for argument in call.args
        }
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and _name(call) in adapters:
                made += [f"{file.name}: {_name(call)}: {id(call) in gated}"]
    assert made
    assert {entry.partition(":")[0] for entry in made} == {"bootstrap.py"}
    assert all(entry.endswith("True") for entry in made), made


def _name(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
