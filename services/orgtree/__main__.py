"""Start: `python -m services.orgtree`."""

from services.orgtree.bootstrap import build
from services.orgtree.settings import Settings

if __name__ == "__main__":
    build(Settings()).run()
