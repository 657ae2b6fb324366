"""The only reader of the environment."""

from pydantic import Field

from services.kernel.settings import ServiceSettings


class Settings(ServiceSettings):
    """What status keeps, and for how long, beyond what every service has.

    `audit_days`: five years, for that long unlawful access to data can be prosecuted (brottsbalken 4 kap. 9 c § with
    35 kap. 1 §: two years of prison at most lapse after five), and the log is how it is found out. Longer where the
    authority's own rules for its archive say so. `command_days`: until nobody asks any more what became of a command;
    who gave it stays in the audit.
    """

    audit_days: int = Field(default=5 * 366, ge=1)
    command_days: int = Field(default=90, ge=1)
