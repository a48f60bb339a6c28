"""A private PostgreSQL cluster: loopback TCP only, passwords by SCRAM, durable as by default."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import psycopg2

from deploy.local.account import UnixAccount
from deploy.local.program import Program
from deploy.local.refusals import NotInstalled
from liaison.installation import HOST, Installation

PORTS = ("postgresql",)


def prepare(installation: Installation, account: UnixAccount) -> None:
    """Write the configuration; make the cluster at the first start.

    Raises: subprocess.CalledProcessError if `initdb` fails; its output is in `logs/initdb.log`.
    """
    folder = account.folder(installation.home / "postgresql", 0o700)
    if not (folder / "data" / "global" / "pg_control").exists():
        _make_cluster(installation, account)
    account.file(folder / "pg_hba.conf", f"host all all {HOST}/32 scram-sha-256\n")
    account.file(folder / "postgresql.conf", _configuration(installation))


def programs(installation: Installation) -> tuple[Program, ...]:
    """Return the server; INT asks it to stop without waiting for its clients to leave."""
    folder = installation.home / "postgresql"
    command = (str(binaries() / "postgres"), "-D", str(folder / "data"), f"--config-file={folder / 'postgresql.conf'}")
    return (Program("postgresql", command, folder, stop_signal="INT", stop_wait_s=30),)


def unhealthy_because(installation: Installation) -> str | None:
    """Return None when a query is answered."""
    try:
        connection = psycopg2.connect(installation.postgres_admin_uri, connect_timeout=2)
        connection.close()
    except psycopg2.OperationalError as error:
        return str(error).strip()
    return None


def binaries() -> Path:
    """Return the folder of the newest PostgreSQL on the machine, 13 or later.

    Raises: NotInstalled with the command that installs one.
    """
    versions = [int(path.parent.name) for path in Path("/usr/lib/postgresql").glob("[0-9]*/bin")]
    if not versions or max(versions) < 13:
        raise NotInstalled("PostgreSQL is not installed: run deploy/local/install.sh run")
    return Path(f"/usr/lib/postgresql/{max(versions)}/bin")


def _make_cluster(installation: Installation, account: UnixAccount) -> None:
    folder, log = installation.home / "postgresql", installation.home / "logs" / "initdb.log"
    log.parent.mkdir(exist_ok=True)
    # Made beside its place and moved there when complete, so that a start that was killed is simply repeated.
    fresh = folder / "data.new"
    shutil.rmtree(fresh, ignore_errors=True)
    with tempfile.NamedTemporaryFile("w", dir=folder) as password:
        password.write(installation.passwords["postgresql:postgres"])
        password.flush()
        account.own(Path(password.name))
        command: list[str | Path] = [binaries() / "initdb", "-D", fresh, "-U", "postgres", "--pwfile", password.name]
        command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"]
        with log.open("ab") as output:
            subprocess.run(
                command,
                check=True,
                cwd=folder,
                stdout=output,
                stderr=subprocess.STDOUT,
                **account.popen_arguments(),
            )
    fresh.rename(folder / "data")


def _configuration(installation: Installation) -> str:
    folder = installation.home / "postgresql"
    return f"""# Written at every start by deploy/local/postgresql.py. What is not here is PostgreSQL's default.
data_directory = '{folder / "data"}'
hba_file = '{folder / "pg_hba.conf"}'
listen_addresses = '{HOST}'
port = {installation.ports["postgresql"]}
unix_socket_directories = ''
max_connections = 200
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %q%u@%d '
"""
