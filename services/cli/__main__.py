"""Start: `stafett`, or `python -m services.cli`."""

from services.cli.bootstrap import build
from services.cli.settings import Settings


def main() -> None:
    """Run the command line."""
    build(Settings())(prog_name="stafett")


if __name__ == "__main__":
    main()
