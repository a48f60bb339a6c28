"""How notify is set up: its mail server, its addresses, its rules and its words, read once at start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parseaddr
from pathlib import Path
from urllib.parse import unquote, urlsplit

from eventkit.errors import BadSettings
from eventkit.links import TICKET, Links
from services.notify.lined_yaml import Faults
from services.notify.rulefile import read_rules
from services.notify.rules import RuleBook
from services.notify.wording import FALLBACK, FORWARDED, Languages, read_languages

_FOLDER = Path(__file__).parent
_MUST = ("SMTP_URI", "LIAISON_MAIL_FROM", "LIAISON_DESK_MAIL")
_PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """Where mail is handed over. scheme: smtp (plain), smtp+starttls or smtps. user: empty for no login."""

    scheme: str
    host: str
    port: int
    user: str = ""
    password: str = field(default="", repr=False)

    @classmethod
    def from_uri(cls, uri: str) -> SmtpServer:
        """Read `smtp://user:password@host:port`. Raises ValueError with the reason, without the password."""
        parts = urlsplit(uri)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError(f"SMTP_URI must be {', '.join(f'{s}://' for s in _PORTS)} with a host")
        port = parts.port or _PORTS[parts.scheme]
        return cls(parts.scheme, parts.hostname, port, unquote(parts.username or ""), unquote(parts.password or ""))


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that notify needs to know. url: the base of links in messages, empty for none.

    links: signs requesters' links to their tickets; None without a key for them.
    """

    smtp: SmtpServer
    mail_from: str
    desk_mail: str
    url: str
    rules: RuleBook
    languages: Languages
    links: Links | None = None

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Read SMTP_URI, LIAISON_MAIL_FROM, LIAISON_DESK_MAIL, LIAISON_URL and LIAISON_NOTIFY_RULES (a file).

        LIAISON_LINK_KEYS and LIAISON_LINK_VALID_DAYS are read by `eventkit.links`.
        Raises BadSettings naming every fault at once, those of the files with file and line.
        """
        faults = Faults([f"not set: {name}" for name in _MUST if not env.get(name)])
        for name in _MUST[1:]:
            if env.get(name) and "@" not in parseaddr(env[name])[1]:
                faults.found.append(f"{name}: {env[name]!r} is not an e-mail address")
        smtp = _smtp(env.get("SMTP_URI", ""), faults)
        languages = read_languages(_FOLDER / "templates", faults)
        fallback = languages.by_tag.get(FALLBACK)
        templates = set(fallback.templates) - {FORWARDED} if fallback else set()
        rules = read_rules(
            Path(env.get("LIAISON_NOTIFY_RULES") or _FOLDER / "rules" / "notify.yaml"), templates, faults
        )
        if faults.found or smtp is None:
            raise BadSettings("\n".join(faults.found))
        return cls(
            smtp,
            env["LIAISON_MAIL_FROM"],
            env["LIAISON_DESK_MAIL"],
            env.get("LIAISON_URL", ""),
            rules,
            languages,
            Links.from_env(env, TICKET),
        )


def _smtp(uri: str, faults: Faults) -> SmtpServer | None:
    try:
        return SmtpServer.from_uri(uri) if uri else None
    except ValueError as error:
        faults.found.append(str(error))
        return None
