"""Kill -9 of publishers, broker and gateway at random moments: what `publish` returned for arrives once, in order."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from liaison_client import Publisher, Settings
from sqlalchemy import Engine, text

from deploy.local.accounts import provision_databases
from deploy.local.servers import Servers, running_servers
from eventkit import schema, topology
from eventkit.database import open_engine
from liaison.publishers import PublisherAccount, add_publisher
from services.gateway.service import DEFINITION
from tests.eventkit.desk import admin_of, eventually
from tests.gateway.door import FOLDER
from tests.house.source import ROOT
from tests.seeds import FIXED_SEEDS, run_seed

TELLERS = ("a", "b")
KILLS = 12
_GATEWAY = "import sys; from services.gateway import service; sys.exit(service.run())"

pytestmark = [pytest.mark.faults, pytest.mark.timeout(240)]


class House:
    """Servers of its own, a gateway and two publishers that share a spool; each can be killed and started again."""

    def __init__(self, servers: Servers) -> None:
        self.servers = servers
        installation = servers.installation
        provision_databases(installation, ["gateway"])
        self.engine: Engine = open_engine(installation.database_uri("gateway"), name="test")
        schema.migrate(self.engine, FOLDER)
        admin = admin_of(installation)
        topology.apply(admin, [DEFINITION])
        admin.grant(topology.rights_of(DEFINITION), installation.passwords["rabbitmq:gateway"])
        admin.close()
        # So much must a new quorum queue of RabbitMQ 3.10 have lived before it can be killed.
        self.old_at = time.monotonic() + 3
        self.account: PublisherAccount = add_publisher(installation, "erp", ["erp.*"])

    def gateway(self) -> subprocess.Popen[bytes]:
        """Start the gateway."""
        installation = self.servers.installation
        own = {"AMQP_URI": installation.amqp_uri("gateway"), "DATABASE_URI": installation.database_uri("gateway")}
        command, quiet = [sys.executable, "-c", _GATEWAY], subprocess.DEVNULL
        return subprocess.Popen(command, env=os.environ | own, cwd=ROOT, stdout=quiet, stderr=quiet)

    def emitted(self, first: str) -> list[tuple[str, str]]:
        """Return (id, subject) of what the gateway has emitted, in order, from subjects that begin so."""
        with self.engine.connect() as connection:
            rows = connection.execute(
                text(
                    "select id, headers->>'ce-subject' from eventkit.outbox where aggregatetype = '/erp'"
                    " and headers->>'ce-subject' like :first order by position"
                ),
                {"first": f"{first}%"},
            )
            return [(row[0], row[1]) for row in rows]


class Run:
    """One seed's run. told: by teller, the ids that `publish` returned, in order."""

    def __init__(self, house: House, seed: int, folder: Path) -> None:
        self.house = house
        self.random = random.Random(seed)
        self.folder = folder
        self.first = f"{seed}-"
        self.kills: list[str] = []
        self.settings = Settings.of(house.account.amqp_uri, spool=folder / "spool")
        self.lives = 0
        self.tellers = {name: self._teller(name) for name in TELLERS}
        self.door = house.gateway()

    def _teller(self, name: str) -> subprocess.Popen[bytes]:
        own = {
            "LIAISON_AMQP": self.settings.amqp_uri,
            "LIAISON_SPOOL": str(self.settings.spool),
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "clients" / "python"))),
        }
        self.lives += 1
        subject = f"{self.first}{name}"
        with (self.folder / f"told-{name}").open("ab") as told, (self.folder / f"log-{name}").open("ab") as errors:
            return subprocess.Popen(
                [sys.executable, "-m", "tests.client.teller", subject], env=os.environ | own, stdout=told, stderr=errors
            )

    def play(self) -> None:
        """Kill at random moments, the broker and the gateway at least once, and start again; freeze the broker."""
        victims = ["broker", "frozen", "gateway", "gateway", *TELLERS]
        victims += self.random.choices(["gateway", *TELLERS], k=KILLS - len(victims))
        self.random.shuffle(victims)
        for victim in victims:
            time.sleep(self.random.uniform(0.1, 1.2))
            self.kills.append(victim)
            if victim == "broker":
                self.house.servers.kill9("rabbitmq")
                time.sleep(self.random.uniform(0, 1))
                self.house.servers.start("rabbitmq")
            elif victim == "frozen":
                self.house.servers.pause("rabbitmq")
                time.sleep(self.random.uniform(0.5, 2))
                self.house.servers.resume("rabbitmq")
            elif victim == "gateway":
                _kill(self.door)
                self.door = self.house.gateway()
            else:
                _kill(self.tellers[victim])
                self.tellers[victim] = self._teller(victim)

    def settle(self) -> None:
        """End the publishers, as hard as before, and let everything through that they left."""
        for teller in self.tellers.values():
            _kill(teller)
        with Publisher(self.settings) as publisher:
            assert publisher.flush(timeout_s=60, everything=True), publisher.status()
            assert publisher.status().aside == 0
            assert publisher.refusals() == []
        wanted = {one for ids in self.told().values() for one in ids}
        eventually(lambda: wanted <= {one for one, _ in self.house.emitted(self.first)}, 60, "everything arrives")

    def told(self) -> dict[str, list[str]]:
        """Return what the publishers were promised."""
        return {name: _ids(self.folder / f"told-{name}") for name in TELLERS}

    def close(self) -> None:
        """Leave nothing running."""
        for process in (*self.tellers.values(), self.door):
            _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def _ids(path: Path) -> list[str]:
    # The last line of a life may be cut off.
    return [
        words[2] for line in path.read_text().splitlines() if len(words := line.split()) == 3 and len(words[2]) == 36
    ]


def faults_of(told: Sequence[str], emitted: Sequence[str], kills: int) -> list[str]:
    """Return what is wrong with what arrived of one teller, in order; kills: how often it may have been cut off."""
    found = []
    if missing := set(told) - set(emitted):
        found.append(f"{len(missing)} of {len(told)} are lost, such as {min(missing)}")
    if len(emitted) != len(set(emitted)):
        found.append(f"{len(emitted) - len(set(emitted))} arrived twice")
    promised = set(told)
    if [one for one in emitted if one in promised] != [one for one in told if one in set(emitted)]:
        found.append("they arrived in another order")
    if (more := len(set(emitted) - promised)) > kills:
        found.append(f"{more} arrived that nobody was told of")
    return found


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with running_servers() as servers:
        made = House(servers)
        yield made
        made.engine.dispose()


@pytest.mark.parametrize("seed", [*FIXED_SEEDS, run_seed()])
def test_nothing_is_lost_doubled_or_disordered(house: House, seed: int, tmp_path: Path) -> None:
    time.sleep(max(house.old_at - time.monotonic(), 0))
    with ExitStack() as stack:
        run = Run(house, seed, tmp_path)
        stack.callback(run.close)
        run.play()
        run.settle()
    emitted = house.emitted(run.first)
    for name, told in run.told().items():
        own = [one for one, subject in emitted if subject == f"{run.first}{name}"]
        assert len(told) > 100, "too little was published to prove anything"
        wrong = faults_of(told, own, run.lives)
        assert not wrong, f"seed {seed}, kills {run.kills}: {name}: {wrong}"
    _leave_summary(seed, run, len(emitted))


def _leave_summary(seed: int, run: Run, arrived: int) -> None:
    summary = {"seed": seed, "told": sum(map(len, run.told().values())), "arrived": arrived, "kills": run.kills}
    print(json.dumps(summary))  # noqa: T201


@pytest.mark.parametrize(
    ("told", "emitted", "word"),
    [
        ("abc", "ac", "lost"),
        ("abc", "abbc", "twice"),
        ("abc", "acb", "order"),
        ("abc", "abcde", "nobody"),
        ("abc", "abcd", ""),
    ],
)
def test_the_comparison_sees(told: str, emitted: str, word: str) -> None:
    wrong = faults_of(list(told), list(emitted), 1)
    assert [one for one in wrong if word in one] if word else wrong == []
