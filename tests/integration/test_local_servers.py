"""The private servers start, survive a kill with their data, and leave nothing behind."""

import asyncio
import io
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import aio_pika
import ldap3
import psycopg
import pytest

from deploy.local.__main__ import Processes
from deploy.local.installation import Installation
from deploy.local.issuer import AUDIENCE, ISSUER, Issuer
from deploy.local.ports import Ports, free_ports, keep_base, ports_for
from deploy.local.secret_files import SecretFiles
from deploy.local.server import listens
from deploy.local.servers import (
    PostgresServer,
    RabbitServer,
    Server,
    ServerConfig,
    ServerFailedError,
    ServerMissingError,
    SlapdServer,
)
from deploy.local.settings import ROOT, WrongSettingError, local_settings
from deploy.local.supervision import Supervision
from services.kernel.problems import ProblemError
from services.kernel.security import Authenticator
from services.kernel.settings import load_organisations
from services.kernel.targets import load_targets
from tests.support.servers import (
    PostgresUnderTest,
    RabbitUnderTest,
    SlapdUnderTest,
    private_postgres,
    private_prometheus,
    private_rabbitmq,
    private_samba,
    private_slapd,
    running,
    short_folder,
    skip_or_fail,
)

PRIVATE: tuple[Callable[[Path], Server[ServerConfig]], ...] = (
    private_postgres,
    private_rabbitmq,
    private_slapd,
    private_prometheus,
    private_samba,
)


@pytest.mark.parametrize("describe", PRIVATE)
def test_starts_stops_and_leaves_no_process_behind(describe: Callable[[Path], Server[ServerConfig]]) -> None:
    with short_folder() as folder:
        server = describe(folder / "server")
        with running(server):
            assert server.ready()
            assert server.pid is not None
        assert server.pid is None
        assert not listens(server.config.port, server.address)
        if isinstance(server, RabbitServer):
            assert not listens(server.config.epmd_port)
        server.wipe()
        assert list(folder.iterdir()) == []


@pytest.mark.parametrize("describe", PRIVATE)
def test_another_process_finds_and_kills_a_server_that_it_did_not_start(
    describe: Callable[[Path], Server[ServerConfig]],
) -> None:
    with short_folder() as folder:
        server = describe(folder / "server")
        with running(server):
            stranger = type(server)(server.config)
            assert stranger.pid == server.pid
            stranger.kill9()
            assert server.pid is None


def test_a_server_that_ends_at_once_says_why() -> None:
    with short_folder() as folder:
        good = private_postgres(folder / "server").config
        server = PostgresServer(replace(good, shared_buffers="nonsense"))
        with pytest.raises(ServerFailedError, match='invalid value for parameter "shared_buffers"'):
            server.start()
        assert server.pid is None


def test_a_server_does_not_take_the_answer_of_another_for_its_own() -> None:
    with short_folder() as folder:
        first = private_slapd(folder / "first")
        second = SlapdServer(replace(first.config, folder=folder / "second"))
        with running(first), pytest.raises(ServerFailedError, match="something else listens"):
            second.start()


def test_free_ports_are_different() -> None:
    assert len(set(free_ports(50))) == 50


def test_two_processes_choose_different_ports() -> None:
    asked = "from deploy.local.ports import free_ports; print(*free_ports(400), flush=True); input()"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", asked], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    chosen = [set((one.stdout or pytest.fail("no output")).readline().split()) for one in started]
    for one in started:
        one.communicate("\n")
    assert [len(one) for one in chosen] == [400, 400]
    assert not chosen[0] & chosen[1]


def test_postgres_keeps_what_it_confirmed_over_a_kill(postgres: PostgresUnderTest, fresh_database: str) -> None:
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (n int)")
        connection.execute("INSERT INTO kept VALUES (1)")
        postgres.kill9()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    postgres.start()
    with psycopg.connect(fresh_database) as connection:
        assert connection.execute("SELECT n FROM kept").fetchall() == [(1,)]


def test_a_paused_postgres_answers_nobody_until_it_is_resumed(postgres: PostgresUnderTest) -> None:
    postgres.pause()
    try:
        with pytest.raises(psycopg.OperationalError, match="timeout"):
            psycopg.connect(postgres.url, connect_timeout=2)
    finally:
        postgres.resume()
    with psycopg.connect(postgres.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


async def _publish(url: str, queue: str, body: bytes) -> None:
    connection = await aio_pika.connect(url)
    async with connection:
        channel = await connection.channel()
        await channel.declare_queue(queue, durable=True, arguments={"x-queue-type": "quorum"})
        message = aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await channel.default_exchange.publish(message, queue)


async def _first_message(url: str, queue: str) -> bytes:
    """Consume, not get: a quorum queue has no leader in its first seconds after a kill, and a get would hang."""
    connection = await aio_pika.connect(url)
    async with asyncio.timeout(30), connection:
        channel = await connection.channel()
        declared = await channel.declare_queue(queue, durable=True, arguments={"x-queue-type": "quorum"}, passive=True)
        async with declared.iterator() as messages:
            async for message in messages:
                await message.ack()
                return message.body
    pytest.fail("no message")


async def _exists(url: str, queue: str) -> bool:
    connection = await aio_pika.connect(url)
    async with connection:
        channel = await connection.channel()
        try:
            await channel.declare_queue(queue, passive=True)
        except aio_pika.exceptions.ChannelNotFoundEntity:
            return False
        return True


async def test_rabbitmq_keeps_what_it_confirmed_over_a_kill(rabbitmq: RabbitUnderTest) -> None:
    await _publish(rabbitmq.url, "kept", b"a")
    # RabbitMQ 3.10 writes its table of quorum queues lazily: a queue that is younger than about a second at a kill has
    # no leader ever after, and consuming or publishing hangs. A clean restart writes it.
    rabbitmq.restart()
    await _publish(rabbitmq.url, "kept", b"b")
    rabbitmq.kill9()
    rabbitmq.start()
    assert await _first_message(rabbitmq.url, "kept") == b"a"


async def test_a_wiped_broker_comes_back_empty_and_with_its_definitions(rabbitmq: RabbitUnderTest) -> None:
    await _publish(rabbitmq.url, "lost", b"a")
    rabbitmq.kill9()
    rabbitmq.wipe_data()
    rabbitmq.start()
    assert not await _exists(rabbitmq.url, "lost")
    assert rabbitmq.control("list_users", "--no-table-headers").split() == ["test", "[]"]


def test_a_running_broker_is_not_wiped(rabbitmq: RabbitUnderTest) -> None:
    with pytest.raises(ServerFailedError, match="still runs"):
        rabbitmq.wipe_data()


def test_slapd_keeps_what_it_confirmed_over_a_kill(slapd: SlapdUnderTest) -> None:
    suffix = slapd.suffixes[1]

    def connect() -> ldap3.Connection:
        server = ldap3.Server(slapd.url, get_info=ldap3.NONE)
        return ldap3.Connection(
            server, slapd.service_dn, slapd.service_password, client_strategy=ldap3.SAFE_SYNC, auto_bind=True
        )

    dn = f"ou=kept,ou=units,{suffix}"
    writer = connect()
    assert writer.add(dn, "organizationalUnit")[0]
    slapd.kill9()
    writer.strategy.close()
    slapd.start()
    reader = connect()
    assert reader.search(dn, "(objectClass=*)", ldap3.BASE)[0]
    reader.delete(dn)
    reader.unbind()


def test_a_folder_that_only_root_may_enter_is_no_obstacle_to_postgres() -> None:
    with short_folder() as folder:
        closed = folder / "closed"
        closed.mkdir(mode=0o700)
        with running(private_postgres(closed / "postgres")):
            pass


async def test_services_accept_the_local_issuers_token_and_refuse_an_expired_one() -> None:
    with short_folder() as folder:
        issuer = Issuer(folder)
        issuer.prepare()
        authenticator = Authenticator(str(issuer.jwks), ISSUER, AUDIENCE)
        bearer = await authenticator.principal(f"Bearer {issuer.mint('alvsund', ['events:write'])}")
        assert (bearer.organisation, bearer.scopes) == ("alvsund", frozenset({"events:write"}))
        with pytest.raises(ProblemError, match=r"token\.expired|expired"):
            await authenticator.principal(f"Bearer {issuer.mint('alvsund', ['events:write'], lifetime=-3600)}")


def test_secrets_stay_the_same_and_are_private() -> None:
    with short_folder() as folder:
        first, second = SecretFiles(folder / "secrets"), SecretFiles(folder / "secrets")
        assert first.broker_passwords(("a", "b")) == second.broker_passwords(("a", "b"))
        assert first.dead_letter_key("a") != first.dead_letter_key("b")
        assert {path.stat().st_mode & 0o777 for path in (folder / "secrets").iterdir()} == {0o600}


def test_the_port_base_is_kept_until_another_is_asked_for(tmp_path: Path) -> None:
    assert ports_for(tmp_path, None).base == 18000
    keep_base(tmp_path, 38000)
    assert ports_for(tmp_path, None).base == 38000
    assert ports_for(tmp_path, 19000).base == 19000


@pytest.mark.parametrize("wrong", ["abc", "80", "70000"])
def test_a_wrong_port_base_is_said_in_one_line(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAFETT_PORT_BASE", wrong)
    with pytest.raises(
        WrongSettingError, match=f"^STAFETT_PORT_BASE must be a number from 1024 to 60000, not '{wrong}'"
    ):
        local_settings()


def test_clean_deletes_nothing_when_there_is_nobody_to_ask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    installation = Installation(tmp_path, Ports.free())
    monkeypatch.setenv("FORCE", "0")
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert Processes(installation).clean() == 1
    assert tmp_path.exists()
    assert "FORCE=1 make clean" in capsys.readouterr().out


def test_a_prometheus_joins_an_installation_that_is_already_up() -> None:
    with short_folder() as folder:
        ports = Ports.free()
        without = Installation(folder / "run", ports, durable=False)
        observed = Installation(folder / "run", ports, durable=False, observed=True)
        supervision = Supervision(observed)
        try:
            observed.prepare()
        except ServerMissingError as missing:
            skip_or_fail(str(missing))
        Supervision(without).launch()
        try:
            assert "prometheus" not in supervision.status()
            supervision.launch()
            supervision.start("prometheus")
            observed.prometheus.wait_ready()
            assert re.search(r"^prometheus +RUNNING", supervision.status(), re.MULTILINE)
            assert observed.prometheus.ask("rules")["groups"]
        finally:
            supervision.shut_down()
        assert observed.prometheus.pid is None
        assert not listens(ports.prometheus)


def test_an_active_directory_is_a_target_with_a_unit_for_each_organisation(tmp_path: Path) -> None:
    installation = Installation(tmp_path, Ports.free(), durable=False, active_directory=True)
    try:
        installation.prepare()
    except ServerMissingError as missing:
        skip_or_fail(str(missing))
    rows = load_organisations(installation.organisations)
    targets = load_targets(Path(installation.environment("accounts")["STAFETT_TARGETS"]), rows.values())
    windows = targets["active_directory"]
    assert windows.kind == "active_directory"
    assert windows.secret == installation.samba.config.service_password
    assert len(installation.samba.config.bases) == len(rows)
    with running(installation.samba):
        assert installation.samba.ready()
    assert "samba" not in {server.name for server in Installation(tmp_path, Ports.free()).servers}


@pytest.mark.parametrize(("said", "has"), [("0", False), ("1", True)])
def test_active_directory_may_be_switched_off(said: str, has: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAFETT_AD", said)
    assert local_settings().has_active_directory is has


def test_sigterm_ends_pytest_as_ctrl_c_does(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import time, pathlib, pytest\n"
        "here = pathlib.Path(__file__).parent\n"
        "@pytest.fixture\ndef server():\n    yield\n    (here / 'stopped').touch()\n"
        "def test_it(server):\n    (here / 'begun').touch()\n    time.sleep(60)\n"
    )
    argv = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-c", "/dev/null", "--rootdir", str(tmp_path)]
    with subprocess.Popen([*argv, "-p", "no:cacheprovider", str(tmp_path)], cwd=ROOT, stdout=subprocess.DEVNULL) as run:
        deadline = time.monotonic() + 30
        while not (tmp_path / "begun").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        run.terminate()
        assert run.wait(30) == pytest.ExitCode.INTERRUPTED
    assert (tmp_path / "stopped").exists()
