"""The image that RUNTIME=docker and Kubernetes run; asked only when containers are asked for."""

import pytest

from deploy.containers.compose import build, docker
from tests.support.settings import RunSettings

IMAGE = "stafett/stafett:local"
BASE = "python:3.13-slim"
ROOM = 450 * 1024 * 1024

pytestmark = pytest.mark.skipif(RunSettings().runtime != "docker", reason="of RUNTIME=docker")


@pytest.fixture(scope="module")
def image() -> str:
    build(IMAGE)
    return IMAGE


def ran(image: str, *command: str) -> str:
    """Run a command in it as production does: read-only, without rights, without a network."""
    hardened = ["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--network=none"]
    return docker("run", "--rm", *hardened, "--entrypoint", command[0], image, *command[1:])


def test_it_is_small(image: str) -> None:
    size, base = (int(docker("image", "inspect", "--format", "{{.Size}}", one)) for one in (image, BASE))
    assert size - base < ROOM


def test_it_holds_what_runs_and_nothing_of_tests_or_history(image: str) -> None:
    found = ran(image, "find", "/app", "-maxdepth", "2", "-not", "-name", "*.pyc").split()
    assert {"/app/services", "/app/contracts", "/app/deploy/migrate.py", "/app/deploy/policy"} <= set(found)
    left_out = ("/app/tests", "/app/.git", "/app/deploy/local", "/app/deploy/demo", "/app/.run")
    assert [path for path in found if path.startswith(left_out)] == []
    assert ran(image, "python", "-c", "import importlib.util as u; print(u.find_spec('pytest'))").strip() == "None"


def test_it_runs_as_nobody_in_particular_and_writes_nothing(image: str) -> None:
    assert ran(image, "id", "-u").strip() == "10001"
    assert "Usage" in ran(image, "stafett", "--help")
