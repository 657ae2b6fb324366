"""Where a local installation has accounts: the organisations, cut to the targets that run, and how each is reached."""

import re
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from deploy.local.server import write_private

OPENLDAP = "openldap"
ACTIVE_DIRECTORY = "active_directory"
ENTRA = "entra"

_PLACE = re.compile(r"^targets\.(?P<target>\w+) = .*\n", re.MULTILINE)


def present(table: str, running: Container[str]) -> str:
    """Return the text of a table of organisations without the places in targets that do not run."""
    return _PLACE.sub(lambda place: place[0] if place["target"] in running else "", table)


UNITS: Mapping[str, str] = MappingProxyType(
    {
        OPENLDAP: 'placement = "by_unit"\ngroups = ["unit", "managers", "rollup"]',
        ACTIVE_DIRECTORY: 'groups = ["unit", "managers"]',
        ENTRA: 'groups = ["unit", "managers", "rollup"]',
    }
)
"""What is done with units in targets that have them."""


def write_targets(folder: Path, targets: Mapping[str, tuple[Mapping[str, str], str]]) -> Path:
    """Write the file of targets (services.kernel.targets) and a file with the secret of each. Safe to repeat.

    Args:
        folder: Where they go.
        targets: What stands in each target's section, and its secret.
    """
    folder.mkdir(exist_ok=True, mode=0o700)
    sections: list[Sequence[str]] = []
    for name, (values, secret) in targets.items():
        write_private(folder / name, secret)
        given = {**values, "secret_file": name}
        sections.append([f"[{name}]", *(f'{key} = "{value}"' for key, value in given.items()), ""])
        if name in UNITS:
            sections.append([f"[{name}.units]", UNITS[name], ""])
    file = folder / "targets.toml"
    write_private(file, "\n".join(line for section in sections for line in section))
    return file
