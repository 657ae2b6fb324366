"""What the code knows of its migrations, and when a database is behind."""

from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from deploy.migrate import ROOT
from services.kernel.messaging import topology
from services.kernel.schema import SHARED, folders, missing, revisions

KNOWN = {
    "kernel_0001": frozenset[str](),
    "kernel_0002": frozenset({"kernel_0001"}),
    "phones_0001": frozenset({"kernel_0001"}),
    "phones_0002": frozenset({"phones_0001", "kernel_0002"}),
}


@pytest.mark.parametrize(
    ("applied", "left"),
    [
        ([], set(KNOWN)),
        (["phones_0001"], {"kernel_0002", "phones_0002"}),
        (["phones_0001", "kernel_0002"], {"phones_0002"}),
        (["phones_0002"], set()),
        (["phones_0003"], set()),
        (["phones_0001", "kernel_0003"], set()),
    ],
)
def test_a_database_is_behind_when_it_lacks_what_the_code_knows(applied: list[str], left: set[str]) -> None:
    assert missing(KNOWN, applied) == left


@pytest.mark.parametrize("where", [[SHARED], *map(folders, [*topology.SERVICES, "portal"])])
def test_revisions_are_read_as_alembic_reads_them(where: list[Path]) -> None:
    config = Config()
    config.set_main_option("script_location", str(ROOT / "deploy/migrations"))
    config.set_main_option("path_separator", "os")
    config.set_main_option("version_locations", ":".join(map(str, where)))
    told = {
        one.revision: frozenset(name for name in (*one._all_down_revisions,) if name)
        for one in ScriptDirectory.from_config(config).walk_revisions()
    }
    assert told
    assert revisions(where) == told
