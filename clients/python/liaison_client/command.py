"""`liaison-publish`: the publisher as a command."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

from liaison_client.errors import BadEvent, LiaisonClientError
from liaison_client.event import Event
from liaison_client.publisher import Publisher
from liaison_client.settings import Settings
from liaison_client.spool import Spool

_BATCH = 500
_DONE, _REFUSED, _WAITING = 0, 1, 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0 done, 1 a mistake, 3 kept in the spool and not sent yet."""
    given = _parser().parse_args(arguments)
    logging.getLogger("pika").setLevel(logging.CRITICAL)
    try:
        code: int = given.run(given, Settings.load())
    except (LiaisonClientError, OSError) as error:
        print(f"liaison-publish: {error}", file=sys.stderr)
        return _REFUSED
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "liaison-publish",
        description="Publish events to Liaison and lose none.",
        epilog="Configured by LIAISON_AMQP (and LIAISON_AMQP_PASSWORD_FILE, LIAISON_SOURCE, LIAISON_SPOOL, …), "
        "or by ~/.config/liaison-client.toml, mode 0600.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    publish = commands.add_parser("publish", help="publish CloudEvents from a file: a JSON object, list, or lines")
    publish.add_argument("file", help="`-` for the standard input")
    publish.set_defaults(run=_publish)
    drain = commands.add_parser("drain", help="send what waits in the spool")
    drain.set_defaults(run=_drain)
    for one, wait_s in ((publish, 10.0), (drain, 60.0)):
        one.add_argument(
            "--wait", type=float, default=wait_s, metavar="SECONDS", help="how long to wait for the broker"
        )
    status = commands.add_parser("status", help="how full the spool is, and why it does not empty")
    status.add_argument("--json", action="store_true", help="for programs")
    status.set_defaults(run=_status)
    refusals = commands.add_parser("refusals", help="what the door did not take, and why; newest first")
    refusals.add_argument("--limit", type=int, default=20)
    refusals.set_defaults(run=_refusals)
    aside = commands.add_parser("aside", help="events that the broker refuses: list, retry them all, or discard one")
    aside.add_argument("--retry", action="store_true", help="put them at the end of the line")
    aside.add_argument("--discard", metavar="ID", help="forget the one with this id")
    aside.set_defaults(run=_aside)
    return parser


def _publish(given: argparse.Namespace, settings: Settings) -> int:
    publisher = Publisher(settings)
    try:
        count, batch = 0, []
        for place, line in _lines(given.file):
            try:
                batch.append(Event.from_json(line))
            except BadEvent as error:
                raise BadEvent(f"event {place}", f"{error}; {count} events before it were taken") from None
            if len(batch) == _BATCH:
                count += len(publisher.publish_many(batch))
                batch = []
        count += len(publisher.publish_many(batch))
        print(f"{count} events are safe in {settings.spool}")
        return _wait(publisher, given.wait)
    finally:
        publisher.close(timeout_s=0)


def _lines(name: str) -> Iterator[tuple[int, Any]]:
    """Return the events of a file with their number, line by line if it has one on each. Raises: BadEvent, OSError."""
    if name == "-":
        yield from _events(sys.stdin)
    else:
        with open(name, encoding="utf-8") as file:
            yield from _events(file)


def _events(file: TextIO) -> Iterator[tuple[int, Any]]:
    first = file.readline()
    try:
        whole: Any = json.loads(first) if first.strip() else None
    except ValueError:
        # One document over several lines.
        whole = _parsed(first + file.read(), 1)
    place = 0
    for one in whole if isinstance(whole, list) else [whole] * (whole is not None):
        place += 1
        yield place, one
    for line in file:
        if line.strip():
            place += 1
            yield place, _parsed(line, place)


def _parsed(text: str, place: int) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise BadEvent(f"event {place}", f"not JSON: {error}") from None


def _drain(given: argparse.Namespace, settings: Settings) -> int:
    publisher = Publisher(settings)
    try:
        return _wait(publisher, given.wait, everything=True)
    finally:
        publisher.close(timeout_s=0)


def _wait(publisher: Publisher, timeout_s: float, *, everything: bool = False) -> int:
    if publisher.flush(timeout_s=timeout_s, everything=everything):
        print("the broker has them all")
        return _DONE
    status = publisher.status()
    print(f"{status.events - status.aside} events wait: {status.problem or 'not confirmed yet'}", file=sys.stderr)
    return _WAITING


def _status(given: argparse.Namespace, settings: Settings) -> int:
    status = Spool.of(settings).status()
    if given.json:
        print(json.dumps(vars(status), ensure_ascii=False))
    else:
        share = max(status.events / status.limit_events, status.size_bytes / status.limit_bytes)
        print(f"spool     {status.path}")
        print(f"account   {settings.account}")
        print(f"waiting   {status.events - status.aside} events, the oldest for {status.oldest_age_s:.0f} s")
        print(f"full      {share:.1%} ({status.size_bytes} of {status.limit_bytes} bytes)")
        print(f"aside     {status.aside}" + (": see `liaison-publish aside`" if status.aside else ""))
        print(f"refusals  {status.refusals}" + (": see `liaison-publish refusals`" if status.refusals else ""))
        for name, problem in (("problem", status.problem), ("verdicts", status.verdicts_problem)):
            if problem:
                print(f"{name:<9} {problem}")
    return _WAITING if status.problem and status.events else _DONE


def _refusals(given: argparse.Namespace, settings: Settings) -> int:
    for one in Spool.of(settings).refusals(limit=given.limit):
        print(json.dumps(vars(one), ensure_ascii=False))
    return _DONE


def _aside(given: argparse.Namespace, settings: Settings) -> int:
    spool = Spool.of(settings)
    if given.retry:
        print(f"{spool.retry_aside()} events wait again")
    elif given.discard is not None:
        if not spool.discard_aside(given.discard):
            print(f"liaison-publish: no event {given.discard} was set aside", file=sys.stderr)
            return _REFUSED
        print(f"{given.discard} is forgotten")
    else:
        for one in spool.aside():
            print(json.dumps({"id": one.packed.id, "type": one.packed.type, "reason": one.reason}, ensure_ascii=False))
    return _DONE


if __name__ == "__main__":
    sys.exit(main())
