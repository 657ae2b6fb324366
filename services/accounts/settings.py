"""The only reader of the environment."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from services.kernel.erasure import long_enough
from services.kernel.settings import ServiceSettings

BLOCKLIST = Path(__file__).with_name("blocklist.txt")


class Settings(ServiceSettings):
    """What accounts needs beyond what every service has; all names begin with STAFETT_.

    `ldap_threads`: calls to the directory at a time. `ldap_timeout`: seconds to wait for an answer, at most an eighth
    of `lease_seconds`: a call must be over well before the lease is. `erasure_key`: what erased people's names are
    hashed with, the same as ingestion's.
    """

    ldap_url: str
    ldap_bind_dn: str
    ldap_password: SecretStr
    ldap_ca_file: str | None = None
    ldap_start_tls: bool = False
    ldap_threads: int = Field(default=8, ge=1, le=64)
    ldap_timeout: int = Field(default=5, ge=1, le=20)
    erasure_key: Annotated[SecretStr, AfterValidator(long_enough)] = SecretStr("")
    policy_dir: Path
    blocklist: Path = BLOCKLIST
