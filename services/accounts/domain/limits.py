"""How long a value may be in a target, and what is left of one that is longer."""

from collections.abc import Mapping

Attributes = Mapping[str, tuple[str, ...]]


def within(attributes: Attributes, limits: Mapping[str, int]) -> dict[str, tuple[str, ...]]:
    """Return the attributes with values cut to their limits, so that they can be compared with what the target holds.

    Args:
        attributes: What shall be.
        limits: The most that a value may have, by attribute, in UTF-16 code units, which Windows counts.
    """
    return {
        name: tuple(cut(value, limits[name]) for value in values) if name in limits else values
        for name, values in attributes.items()
    }


def cut(value: str, limit: int) -> str:
    """Return the longest beginning of `value` within `limit`: no half characters, no space at the end.

    A value within the limit is returned as it is.
    """
    octets = value.encode("utf-16-le")
    if len(octets) <= 2 * limit:
        return value
    return octets[: 2 * limit].decode("utf-16-le", "ignore").rstrip()
