"""The configuration of a Samba domain controller that serves LDAP and LDAPS and nothing else: smb.conf, as text.

Used for the private server of this machine and for the container.
"""

from dataclasses import dataclass
from pathlib import Path

from deploy.local.slapd_conf import TlsFiles

SERVICE = "stafett"
CONTROLLER = "dc1"


@dataclass(frozen=True, kw_only=True)
class SambaConf:
    """What smb.conf says.

    Attributes:
        realm: The domain, for example `STAFETT.EXAMPLE`.
        data: The folder with the domain.
        run: The folder for what lasts as long as the process.
        tls: The certificate; of its key Samba wants that nobody but itself may read it.
        address: The only one it listens on; None for all there are.
        durable: False leaves out the sync after each write.
    """

    realm: str
    data: Path
    run: Path
    tls: TlsFiles
    address: str | None = None
    durable: bool = True

    def text(self) -> str:
        """Return smb.conf (smb.conf(5))."""
        one = {"interfaces": f"{self.address}/8", "bind interfaces only": "yes"} if self.address else {}
        values = {
            "netbios name": CONTROLLER,
            "realm": self.realm,
            "workgroup": self.realm.partition(".")[0][:15],
            "server role": "active directory domain controller",
            "server services": "ldap",
            **one,
            "private dir": self.data / "private",
            "lock directory": self.data,
            "state directory": self.data / "state",
            "cache directory": self.data / "cache",
            "binddns dir": self.data / "bind-dns",
            "pid directory": self.run,
            "ncalrpc dir": self.run / "ncalrpc",
            "log level": 1,
            "tls enabled": "yes",
            "tls keyfile": self.tls.key,
            "tls certfile": self.tls.certificate,
            "tls cafile": self.tls.ca,
            "ldb:nosync": "no" if self.durable else "yes",
        }
        lines = [f"    {name} = {value}\n" for name, value in values.items()]
        sysvol = self.data / "state" / "sysvol"
        shares = [f"[{name}]\n    path = {sysvol}\n    read only = no\n" for name in ("sysvol", "netlogon")]
        return "".join(["[global]\n", *lines, *shares])


def domain_wanted(realm: str, bases: tuple[str, ...], service_password: str, admin_password: str) -> dict[str, object]:
    """Return what `deploy/samba/domain.py` is told."""
    return {
        "realm": realm,
        "controller": CONTROLLER,
        "bases": bases,
        "service": SERVICE,
        "service_password": service_password,
        "admin_password": admin_password,
    }
