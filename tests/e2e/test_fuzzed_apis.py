"""Every API by its own document: no answer is a server error, nothing is answered that is not documented."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from deploy.local.server import BASE_ENVIRONMENT
from tests.support import hr
from tests.support.house import House, at, running_house
from tests.support.story import TODAY

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with running_house() as house:
        house.set_business_time(at(TODAY))
        house.post([hr.unit("u-1"), hr.hire()])
        house.settled()
        yield house


@pytest.mark.parametrize("service", ["ingestion", "accounts", "status"])
def test_an_api_answers_as_its_document_says(service: str, house: House) -> None:
    command = [sys.executable, "-m", "schemathesis.cli", "run", "--checks", CHECKS, "--max-examples", "20"]
    command += ["--phases", "examples,coverage,fuzzing", "--generation-deterministic", "--request-timeout", "20"]
    # a stream has no end that a client could wait for
    command += ["--exclude-path", "/v1/stream", "-H", f"Authorization: Bearer {house.token()}", "--no-color"]
    done = subprocess.run(
        [*command, f"http://127.0.0.1:{house.installation.ports.http[service]}/openapi.json"],
        env=BASE_ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8_000:]
