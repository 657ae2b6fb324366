"""Start: `python -m services.portal`."""

from services.portal.bootstrap import build
from services.portal.settings import Settings

if __name__ == "__main__":
    build(Settings()).run()
