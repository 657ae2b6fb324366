"""Start the service: `python -m services.ingestion`."""

from services.ingestion.bootstrap import build
from services.ingestion.settings import Settings

if __name__ == "__main__":
    build(Settings()).run()
