"""docker and docker compose, as commands."""

import shutil
import subprocess

from deploy.containers.composed import Composed
from deploy.local.server import ServerFailedError, ServerMissingError
from deploy.local.settings import ROOT

OPENLDAP, SAMBA = "stafett/openldap:local", "stafett/samba:local"
IMAGES = {
    "stafett/stafett:local": "deploy/Dockerfile",
    OPENLDAP: "deploy/openldap/Dockerfile",
    SAMBA: "deploy/samba/Dockerfile",
}
_BUILD_ARGUMENTS = ("PIP_INDEX_URL", "UV_DEFAULT_INDEX")


def build(image: str, *, quiet: bool = True) -> None:
    """Build one of our images; what has not changed comes from the engine's cache.

    Raises:
        ServerMissingError: There is no Docker.
        ServerFailedError: It cannot be built.
    """
    # without a value: docker takes it from the environment, or leaves it out
    arguments = [part for name in _BUILD_ARGUMENTS for part in ("--build-arg", name)]
    docker("build", *(["--quiet"] if quiet else []), "-t", image, "-f", IMAGES[image], *arguments, ".")


def docker(*arguments: str, shown: bool = False) -> str:
    """Run docker in the project's folder and give its output; `shown` lets it talk to the terminal instead.

    Raises:
        ServerMissingError: There is no Docker.
        ServerFailedError: It refused; with what it said.
    """
    if (program := shutil.which("docker")) is None:
        raise ServerMissingError(
            "RUNTIME=docker needs Docker and its compose plugin (Debian: docker.io docker-compose)"
        )
    done = subprocess.run([program, *arguments], cwd=ROOT, capture_output=not shown, text=True, check=False)
    if done.returncode != 0:
        said = "" if shown else f":\n{(done.stdout + done.stderr)[-3000:]}"
        message = f"docker {' '.join(arguments[:6])} ended with status {done.returncode}{said}"
        raise ServerFailedError(message)
    return done.stdout or ""


class Compose:
    """Runs an installation's containers; each method is safe to repeat."""

    def __init__(self, installation: Composed) -> None:
        self.installation = installation
        self.variables = installation.compose_file

    def up(self) -> None:
        """Build, prepare and start.

        Raises:
            ServerMissingError: There is no Docker.
            ServerFailedError: Something did not come up.
        """
        for image in IMAGES:
            if image != SAMBA or self.installation.active_directory:
                build(image)
        self.installation.prepare()
        self.run("up", "--detach", "--remove-orphans")

    @property
    def running(self) -> bool:
        """Whether any container of it runs."""
        return self.variables.exists() and bool(self.run("ps", "--quiet").strip())

    def shut_down(self, *, volumes: bool = False) -> None:
        """Stop and remove the containers; with `volumes` the data too."""
        if self.variables.exists():
            self.run("--profile", "*", "down", "--remove-orphans", *(["--volumes"] if volumes else []))

    def run(self, *arguments: str, shown: bool = False) -> str:
        """Run docker compose on this installation."""
        return docker("compose", "--env-file", str(self.variables), *arguments, shown=shown)
