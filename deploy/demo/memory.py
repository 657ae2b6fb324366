"""What one run of the demo tells the next: it must neither set the clock back nor show the same morning twice."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from deploy.local.server import write_private


class Memory(BaseModel):
    """Kept in `demo.json` in the installation's folder, which `make clean` deletes with the rest.

    Attributes:
        pinned: The business clock was set; from then on it only moves forwards.
        acts: So many acts have been sent, or begun to be.
        shown: The binds before the night have been shown, with passwords that the directory's administrator set.
        finished: A run came to its end and everything had converged.
    """

    model_config = ConfigDict(frozen=True)

    pinned: bool = False
    acts: int = 0
    shown: bool = False
    finished: bool = False


class MemoryFile:
    """Reads and writes it."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "demo.json"

    def read(self) -> Memory:
        """Return what the runs before have left; nothing at all the first time."""
        return Memory.model_validate_json(self._file.read_text()) if self._file.exists() else Memory()

    def keep(self, **changes: bool | int) -> None:
        """Keep something more for the next run, at once: this one may be interrupted."""
        write_private(self._file, self.read().model_copy(update=changes).model_dump_json())
