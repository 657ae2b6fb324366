"""Start: `python -m services.status`."""

from services.status.bootstrap import build
from services.status.settings import Settings

if __name__ == "__main__":
    build(Settings()).run()
