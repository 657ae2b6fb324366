"""The only reader of the environment."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from services.kernel.erasure import long_enough
from services.kernel.settings import ServiceSettings

BLOCKLIST = Path(__file__).with_name("blocklist.txt")


class Settings(ServiceSettings):
    """What accounts needs beyond what every service has; all names begin with STAFETT_.

    `targets`: the file that says how each target is reached. `erasure_key`: what erased people's names are hashed
    with, the same as ingestion's. `activation_key`: what activation codes are hashed with; with another one, codes that
    are out are worth nothing, and without one none are issued. `password_length`: the least number of characters of
    a password that people choose; the targets' own policies judge it besides. `drift_hours`: how often every target is
    read whole. `loop_writes`: how often the same is written to an account in a day before it is left to a person.
    """

    targets: Path
    erasure_key: Annotated[SecretStr, AfterValidator(long_enough)] = SecretStr("")
    activation_key: Annotated[SecretStr, AfterValidator(long_enough)] = SecretStr("")
    password_length: int = Field(default=12, ge=8, le=64)
    policy_dir: Path
    blocklist: Path = BLOCKLIST
    drift_hours: float = Field(default=24, gt=0, le=24 * 31)
    loop_writes: int = Field(default=5, ge=2)
