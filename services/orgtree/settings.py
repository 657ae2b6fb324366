"""The only reader of the environment."""

from pathlib import Path

from pydantic import Field

from services.kernel.settings import ServiceSettings


class Settings(ServiceSettings):
    """What orgtree needs beyond what every service has; all names begin with STAFETT_.

    `targets`: the file that says how each target is reached, and what is done with units there (`[<target>.units]`);
    none: units stand nowhere outside. `drift_hours`: how often what stands for units in a target is read whole.
    """

    targets: Path | None = None
    drift_hours: float = Field(default=24, gt=0, le=24 * 31)
