"""Start: `python -m services.accounts`."""

from services.accounts.bootstrap import build
from services.accounts.settings import Settings

if __name__ == "__main__":
    build(Settings()).run()
