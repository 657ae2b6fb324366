"""Where the demo's people have accounts beside OpenLDAP: a domain of Active Directory, and a simulated tenant."""

import json
import urllib.request
from pathlib import Path
from typing import Any

from deploy.demo.directory import LdapServer, Ran
from deploy.local.graph import TENANT
from deploy.local.installation import GRAPH, Installation
from deploy.local.samba import SambaServer

ACCOUNTDISABLE = 2
"""A bit of userAccountControl ([MS-ADTS] 2.2.16)."""


class Domain(LdapServer):
    """The unit of one organisation in Active Directory, asked by OpenLDAP's own ldapsearch.

    Args:
        samba: The domain controller.
        base: The unit.
        folder: Where the file with the password goes.
    """

    def __init__(self, samba: SambaServer, base: str, folder: Path) -> None:
        password = (samba.config.admin_password, folder / "ad-admin-password")
        super().__init__(samba.url, {"LDAPTLS_CACERT": str(samba.ca_file)}, samba.admin_dn, password)
        self._base = base

    def accounts(self) -> tuple[Ran, dict[str, bool]]:
        """Return employee number → whether a bind is let in, of all accounts that Stafett manages."""
        asked = ("(adminDescription=stafett:*)", "employeeNumber", "userAccountControl")
        ran, entries = self.search(self._base, *asked)
        read = [entry for entry in entries if "employeeNumber" in entry]
        found = {one["employeeNumber"]: not int(one["userAccountControl"]) & ACCOUNTDISABLE for one in read}
        disabled = sum(not enabled for enabled in found.values())
        return Ran(ran.command, ran.code, f"{len(read):,} accounts, {disabled:,} of them disabled"), found


class Tenant:
    """The users of one organisation in the simulated tenant, read past Graph, from what the simulator itself holds.

    Args:
        installation: Whose simulator it is.
        domain: The organisation's, which its users sign in at.
    """

    def __init__(self, installation: Installation, domain: str) -> None:
        self._url = f"{installation.services[GRAPH].url}/control/tenants/{TENANT}"
        self._token = installation.graph.control_token
        self._domain = domain

    def accounts(self) -> tuple[Ran, dict[str, bool]]:
        """Return employee number → whether a sign-in is let in."""
        ours = [one for one in self.users() if one.get("employeeId")]
        found = {one["employeeId"]: bool(one["accountEnabled"]) for one in ours}
        disabled = sum(not enabled for enabled in found.values())
        return Ran(f"curl {self._url}", 0, f"{len(ours):,} users, {disabled:,} of them disabled"), found

    def users(self) -> list[dict[str, Any]]:
        """Return the organisation's users as the simulator has them, without those that are deleted."""
        request = urllib.request.Request(self._url, headers={"Authorization": f"Bearer {self._token}"})  # noqa: S310
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - an address of our own
            found: list[dict[str, Any]] = json.loads(answer.read())["user"]
        return [one for one in found if not one["deleted"] and one["userPrincipalName"].endswith(f"@{self._domain}")]
