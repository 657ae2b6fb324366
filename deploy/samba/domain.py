"""Makes an Active Directory as README.md describes it: `python3 domain.py FOLDER < domain.json`.

With Samba's own library, so for Debian's own Python, which has it. The private server of this machine and the image
both run it. It needs no root: rights in the file system are kept for SYSVOL only, which is not served.
"""

import json
import logging
import sys
from pathlib import Path
from typing import Any

import ldb
from samba.auth import system_session
from samba.dsdb import DS_DOMAIN_FUNCTION_2008_R2
from samba.param import LoadParm
from samba.provision import provision
from samba.samdb import SamDB
from samba.sd_utils import SDUtils

INDEXED, KEPT_WHEN_DELETED = 1, 8
SEARCH_FLAGS = {"Employee-Number": INDEXED, "Admin-Description": INDEXED | KEPT_WHEN_DELETED}
"""What a pass looks up has to be indexed, and whose a deleted account was has to be seen ([MS-ADTS] 2.2.9)."""
MADE = "bases.made"
"""A file in the folder: the units that have been made."""


def make(folder: Path, wanted: dict[str, Any]) -> None:
    """Make the domain in a folder, unless there is one, and the organisational units that are not there.

    Args:
        folder: Where its databases lie, or shall.
        wanted: `realm`, `controller` (the host's name), `admin_password` of the administrator, `service` and
            `service_password` of the account that may do everything below the units, `bases` (the units; one for people
            and one for groups is made below each).
    """
    settings = _settings(folder, wanted)
    if not (folder / "private" / "sam.ldb").exists():
        _provision(folder, wanted, settings)
        _furnish(_opened(folder, settings), wanted)
    made = folder / MADE
    known = made.read_text().splitlines() if made.exists() else []
    for base in wanted["bases"]:
        if base not in known:
            _make_unit(_opened(folder, settings), base, wanted["service"])
            known.append(base)
            made.write_text("".join(f"{one}\n" for one in known))


def _settings(folder: Path, wanted: dict[str, Any]) -> LoadParm:
    """Return smb.conf's parameters while the domain is made: nothing is synced yet, and the schema may change."""
    settings = LoadParm()
    values = {
        "netbios name": wanted["controller"],
        "realm": wanted["realm"],
        "workgroup": _short(wanted),
        "server role": "active directory domain controller",
        "private dir": folder / "private",
        "lock directory": folder,
        "state directory": folder / "state",
        "cache directory": folder / "cache",
        "binddns dir": folder / "bind-dns",
        "ldb:nosync": "yes",
        "dsdb:schema update allowed": "yes",
    }
    for name, value in values.items():
        settings.set(name, str(value))
    return settings


def _short(wanted: dict[str, Any]) -> str:
    """Return the domain's NetBIOS name: at most 15 characters."""
    name: str = wanted["realm"].partition(".")[0]
    return name[:15]


def _provision(folder: Path, wanted: dict[str, Any], settings: LoadParm) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    provision(
        logging.getLogger("provision"),  # noqa: TID251 - what Samba asks for
        system_session(),
        targetdir=str(folder),
        realm=wanted["realm"],
        domain=_short(wanted),
        hostname=wanted["controller"],
        hostip="127.0.0.1",
        adminpass=wanted["admin_password"],
        serverrole="active directory domain controller",
        dns_backend="NONE",
        dom_for_fun_level=DS_DOMAIN_FUNCTION_2008_R2,
        lp=settings,
        skip_sysvolacl=True,
    )


def _opened(folder: Path, settings: LoadParm) -> SamDB:
    return SamDB(url=str(folder / "private" / "sam.ldb"), session_info=system_session(), lp=settings)


def _furnish(database: SamDB, wanted: dict[str, Any]) -> None:
    """Set the schema's indexes, and make the service account, whose password does not expire."""
    for attribute, flags in SEARCH_FLAGS.items():
        change = ldb.Message(ldb.Dn(database, f"CN={attribute},{database.get_schema_basedn()}"))
        change["searchFlags"] = ldb.MessageElement(str(flags), ldb.FLAG_MOD_REPLACE, "searchFlags")
        database.modify(change)
    database.set_schema_update_now()
    database.newuser(wanted["service"], wanted["service_password"])
    database.setexpiry(f"(sAMAccountName={wanted['service']})", 0, no_expiry_req=True)


def _make_unit(database: SamDB, base: str, service: str) -> None:
    for unit in (base, *(f"OU={name},{base}" for name in ("people", "units", "groups"))):
        if not database.search(database.domain_dn(), expression=f"(distinguishedName={unit})", attrs=["1.1"]):
            database.create_ou(unit)
    (account,) = database.search(database.domain_dn(), expression=f"(sAMAccountName={service})", attrs=["objectSid"])
    sid = database.schema_format_value("objectSID", account["objectSid"][0]).decode()
    SDUtils(database).dacl_add_ace(base, f"(A;CI;GA;;;{sid})")


if __name__ == "__main__":
    make(Path(sys.argv[1]), json.load(sys.stdin))
