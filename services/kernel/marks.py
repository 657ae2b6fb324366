"""The mark that an object in a target carries: which pass wrote it last."""

from dataclasses import dataclass

from typing_extensions import override


@dataclass(frozen=True, order=True)
class Mark:
    """(generation, lease epoch) of the pass that wrote last; compares as numbers, never as text."""

    generation: int
    epoch: int

    @classmethod
    def parse(cls, text: str) -> "Mark":
        """Read `generation.epoch`.

        Raises:
            ValueError: It is something else.
        """
        generation, _, epoch = text.partition(".")
        return cls(int(generation), int(epoch))

    @override
    def __str__(self) -> str:
        return f"{self.generation}.{self.epoch}"
