"""Row 7: from a publisher's hand to the receipt that the mail server keeps, with every service up.

A receipt waits for suggestions, at most three seconds by its rule: the figure holds the search for them.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench import whole
from bench.door import by_amqp
from bench.figures import Figure, console, percentiles, quantile, spread
from bench.lab import Ended, Lab
from bench.latency import since_published
from bench.plan import Plan, Steady
from bench.search import fill
from deploy.local.mailbox import MailFolder

ROW = "mail"
PARTS = whole.PARTS
IN_TIME_MS = 5000.0
"""Within which every flow of the desk must reach its end."""
# The search server's Java needs a while until it is compiled.
_WARM_UP_S, _QUICK_WARM_UP_S = 20.0, 1.0
_ARTICLES = 1000
_MESSAGE_ID = re.compile(rb"^Message-ID:\s*<(?:[^@>.]*\.)?([^@>.]+)@", re.IGNORECASE | re.MULTILINE)
# A call takes milliseconds: one that has no outcome after seconds will have none until its lease ends.
_SENT = (
    "select count(*) from delivery where rule = 'receipt'"
    " and (settled_at is not null or (state = 'sending' and tried_at < now() - interval '5 s'))"
)
_RECEIPTS = (
    "select id, about_subject, state,"
    " coalesce(jsonb_array_length(cast(convert_from(companion_data, 'UTF8') as jsonb) -> 'suggestions'), 0)"
    " as suggested,"
    " cast(extract(epoch from pg_xact_commit_timestamp(xmin)) as float8) as committed_at"
    " from delivery where rule = 'receipt'"
)
Rows = Callable[[str], list[Any]]


@dataclass(frozen=True, slots=True)
class Held:
    """What came of a load. Moments in Unix time, by the business key of the request.

    published: before it went out; kept: when the mail server had the receipt on its disk; committed: when the
    delivery's outcome was, if it was accepted. without: the share of the receipts that went without suggestions.
    drained_s: from the last request until no receipt waits. cores: used by each process and each server meanwhile.
    """

    published: dict[str, float]
    kept: dict[str, float]
    committed: dict[str, float]
    without: float
    drained_s: float
    cores: dict[str, float]


def measure(lab: Lab, plan: Plan) -> list[Figure]:
    """Hold the load at the AMQP door. Milliseconds until the mail is kept, and until its outcome is committed."""
    with whole.all_services(lab) as running:
        warm_up(lab, running, plan, ROW)
        held = hold(lab, running, plan.steady(), ROW)
    return lines(held, plan)


def lines(held: Held, plan: Plan) -> list[Figure]:
    """Return the figures of a load."""
    found = []
    for moments, end in ((held.kept, "receipt kept by the mail server"), (held.committed, "its delivery committed")):
        published = {key: moment for key, moment in held.published.items() if key in moments}
        taken = since_published(published, list(moments.items()))
        plan.details.setdefault(ROW, {})[end] = percentiles(taken)
        console.print(f"  {end}: {spread(taken)}")
        for share, label in ((0.5, "p50"), (0.99, "p99")):
            value, what = quantile(taken, share), f"AMQP door → {end} at {plan.per_second:g}/s, {label}"
            judged = share > 0.5
            bar, kept = ("≤ 5 s", value <= IN_TIME_MS) if judged else ("", None)
            found.append(Figure(ROW, what, value, "ms", bar=bar, kept=kept))
    plan.details[ROW] |= {"cores used": held.cores, "drained s": held.drained_s, "without suggestions": held.without}
    console.print("  cores used: " + ", ".join(f"{name} {share:.2f}" for name, share in held.cores.items()))
    lost = len(held.kept) - len(held.committed)
    found.append(Figure(ROW, "receipts kept, but not recorded as accepted", lost, "", bar="0", kept=lost == 0))
    found.append(Figure(ROW, "receipts that went without suggestions", held.without * 100, "%"))
    found.append(Figure(ROW, "last request → last receipt", held.drained_s, "s"))
    return found


def warm_up(lab: Lab, running: dict[str, Any], plan: Plan, run: str) -> None:
    """Prepare, and let a part of the load through, so that no compiler is measured."""
    prepare(lab)
    hold(lab, running, plan.steady(_QUICK_WARM_UP_S if plan.quick else _WARM_UP_S), f"warm-{run}")


def prepare(lab: Lab) -> None:
    """Have articles that can be suggested, unless a row before has filled the index, and people who are told."""
    with lab.reading(lab.installation.database_uri("knowledge")) as rows:
        filled = int(rows("select count(*) from article")[0][0]) >= _ARTICLES
    if not filled:
        fill(lab, _ARTICLES)
    whole.introduce_people(lab)


def hold(lab: Lab, running: dict[str, Any], steady: Steady, run: str) -> Held:
    """Publish requests at a steady pace and return when every receipt was sent.

    run: begins the business keys; unlike those before. Raises Ended when a receipt was not kept exactly once.
    """
    account, mails = whole.publisher(lab), MailFolder(lab.installation.home / "smtp")
    before = mails.count()
    with lab.reading(lab.installation.database_uri("notify")) as rows:
        sent = int(rows(_SENT)[0][0])
        with whole.cores_used(lab, running) as cores:
            published = dict(by_amqp(account, steady, run))
            ended = time.monotonic()
            lab.until(
                lambda: int(rows(_SENT)[0][0]) >= sent + len(published),
                within_s=120 + 4 * steady.hold_s,
                what="every receipt",
                look_each_s=1.0,
            )
            drained_s = time.monotonic() - ended
        receipts = _receipts(lab, rows, run)
    kept = kept_moments(mails, mails.count() - before)
    wrong = [key for key, row in receipts.items() if len(kept.get(row.id, ())) != 1]
    if wrong or len(receipts) != len(published):
        raise Ended(f"{len(published)} requests: {len(receipts)} receipts, {len(wrong)} not kept exactly once")
    return Held(
        published,
        {key: kept[row.id][0] for key, row in receipts.items()},
        {key: row.committed_at for key, row in receipts.items() if row.state == "accepted"},
        sum(not row.suggested for row in receipts.values()) / len(receipts),
        drained_s,
        cores,
    )


def _receipts(lab: Lab, rows: Rows, run: str) -> dict[str, Any]:
    """Return each request's receipt by the business key."""
    with lab.reading(lab.installation.database_uri("tickets")) as tickets:
        statement = f"select number, externalref from ticket where externalref like '{run}-%'"
        keys = {row.number: row.externalref for row in tickets(statement)}
    return {keys[row.about_subject]: row for row in rows(_RECEIPTS) if row.about_subject in keys}


def kept_moments(mails: MailFolder, count: int) -> dict[str, list[float]]:
    """Return when the newest mails were kept, by the delivery that their Message-ID names."""
    kept: dict[str, list[float]] = {}
    for mail in mails.newest(count):
        if found := _MESSAGE_ID.search(mail.raw):
            kept.setdefault(found[1].decode(), []).append(mail.kept_at.timestamp())
    return kept
