"""A private IMAP server with one mailbox, for tests: loopback TCP only, mails in a folder of its own."""

from __future__ import annotations

import imaplib

from deploy.local.account import UnixAccount
from deploy.local.program import Program, required
from liaison.installation import HOST, MAILBOX_PASSWORD, Installation

PORTS = ("imap",)
#: The account whose mailbox it is.
USER = "desk@example.invalid"

_CONFIGURATION = """# Written at every start by deploy/local/dovecot.py. What is not here is Dovecot's default.
protocols = imap
listen = {host}
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/dovecot.log
ssl = no
disable_plaintext_auth = no
default_internal_user = {account}
default_internal_group = {group}
default_login_user = {account}
first_valid_uid = 0
first_valid_gid = 0
mail_uid = {uid}
mail_gid = {gid}
mail_home = {folder}/mails
mail_location = maildir:{folder}/mails/maildir
# So many tests sign in at once.
mail_max_userip_connections = 50
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
passdb {{
  driver = passwd-file
  args = {folder}/users
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/mails
}}
"""


def prepare(installation: Installation, account: UnixAccount) -> None:
    """Write the configuration; the mailbox is made when somebody signs in."""
    folder = account.folder(installation.home / "dovecot", 0o700)
    account.folder(folder / "mails", 0o700)
    account.file(folder / "users", f"{USER}:{{PLAIN}}{installation.passwords[MAILBOX_PASSWORD]}::::::\n")
    account.file(folder / "dovecot.conf", _configuration(installation, account))


def programs(installation: Installation) -> tuple[Program, ...]:
    """Return the server."""
    folder = installation.home / "dovecot"
    command = (required("/usr/sbin/dovecot"), "-F", "-c", str(folder / "dovecot.conf"))
    return (Program("dovecot", command, folder, stop_wait_s=5),)


def unhealthy_because(installation: Installation) -> str | None:
    """Return None when one can sign in."""
    try:
        with imaplib.IMAP4(HOST, installation.ports["imap"], timeout=2) as connection:
            connection.login(USER, installation.passwords[MAILBOX_PASSWORD])
    except (OSError, imaplib.IMAP4.error) as error:
        return str(error) or type(error).__name__
    return None


def _configuration(installation: Installation, account: UnixAccount) -> str:
    return _CONFIGURATION.format(
        host=HOST,
        port=installation.ports["imap"],
        folder=installation.home / "dovecot",
        account=account.name,
        group=account.group_name(),
        uid=account.uid,
        gid=account.gid,
    )
