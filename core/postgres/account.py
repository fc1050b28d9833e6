"""As whom PostgreSQL runs. It refuses uid 0, so a start by root needs another account or a user namespace.

The owner of the data folder is the memory of the choice: root itself means the namespace, anybody else that user.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.postgres.binaries import DatabaseUnavailable, copy_binaries

STATE_FOLDER = Path("/var/lib")


@dataclass(frozen=True)
class Account:
    """One way to start PostgreSQL's programs. `uid` and `gid` are the owner its files have, seen from outside."""

    uid: int
    gid: int
    wrapper: tuple[str, ...] = ()

    def command(self, *words: str | Path) -> list[str]:
        return [*self.wrapper, *map(str, words)]

    def options(self) -> dict[str, Any]:
        """Keyword arguments for subprocess: a clean environment, so that no PG* variable or locale leaks in."""
        inherited = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
        shared: dict[str, Any] = {"env": inherited | {"LC_ALL": "C", "TZ": "UTC"}, "cwd": "/"}
        if self.uid == os.geteuid():
            return shared
        return shared | {"user": self.uid, "group": self.gid, "extra_groups": []}

    def give(self, path: Path) -> None:
        """Make this account the owner of a file or folder of ours. Only root can and needs to."""
        if os.geteuid() == 0:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def give_tree(self, folder: Path) -> None:
        for parent, _, files in os.walk(folder):
            for path in (Path(parent), *(Path(parent, name) for name in files)):
                self.give(path)

    def can_enter(self, home: Path) -> bool:
        return self._works(home, ":")

    def can_run(self, binaries: Path, home: Path) -> bool:
        return self._works(home, 'exec "$1" --version', binaries / "postgres")

    def _works(self, home: Path, script: str, *words: Path) -> bool:
        """Really tried, not computed from mode bits: access lists, mount options and containers have their say too."""
        command = self.command("/bin/sh", "-c", f'cd "$0" && {script}', home, *words)
        try:
            return subprocess.run(command, capture_output=True, **self.options()).returncode == 0
        except OSError:  # not even the change of user is permitted
            return False


@dataclass(frozen=True)
class Place:
    """What a server is started with. `data` lies outside DATA_DIR, linked from there, if the account cannot get in."""

    account: Account
    binaries: Path
    data: Path


def choose(link: Path, binaries: Path) -> Place:
    """Decide for the data folder `link` (made or not yet made), which may be a symbolic link to where it really is.

    Raises DatabaseUnavailable when the folder belongs to somebody else, or nothing works for root.
    """
    data = link.resolve()
    if link.is_symlink() and not data.exists():
        raise DatabaseUnavailable(f"{link} points to {data}, which is gone. Restore it, or remove the link to begin.")
    owner = data.stat().st_uid if data.exists() else None
    me = os.geteuid()
    if me != 0:
        if owner not in (None, me):
            raise belongs_to_another(link, data.stat().st_uid)
        return Place(Account(me, os.getegid()), binaries, data)
    if owner == 0:
        accounts = [*_namespace(), *_unprivileged(data.parent)]
    elif owner is not None:
        accounts = [Account(owner, data.stat().st_gid)]
    else:
        accounts = [*_unprivileged(data.parent), *_namespace()]
    for account in accounts:
        if account.can_run(binaries, data.parent):
            return Place(account, binaries, data)
    return _moved_out([account for account in accounts if account.uid != 0], link, binaries, data)


def belongs_to_another(path: Path, uid: int) -> DatabaseUnavailable:
    """The sentence for a folder of another operating-system user."""
    return DatabaseUnavailable(
        f"{path} belongs to the user {_name(uid)}, but this command runs as {_name(os.geteuid())}."
        " Run it as that user, or choose another HOTLINE_DATA_DIR."
    )


def _unprivileged(folder: Path) -> Iterator[Account]:
    """Who root steps down to: whoever owns DATA_DIR (as under sudo), else the usual service accounts."""
    status = folder.stat()
    if status.st_uid != 0:
        yield Account(status.st_uid, status.st_gid)
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        yield Account(entry.pw_uid, entry.pw_gid)


def _namespace() -> Iterator[Account]:
    """Root, under another number inside a user namespace. Reaches root's private folders; many containers forbid it."""
    if unshare := shutil.which("unshare"):
        yield Account(0, 0, (unshare, "--user", "--map-user=65534", "--map-group=65534", "--"))


def _moved_out(accounts: list[Account], link: Path, binaries: Path, data: Path) -> Place:
    """For root with a checkout in a private folder, in a container without user namespaces: move out of that folder."""
    for account in accounts:
        if account.can_enter(data.parent):
            copied = copy_binaries(binaries, data.parent)
            if account.can_run(copied, data.parent):
                return Place(account, copied, data)
        elif not data.exists() and os.access(STATE_FOLDER, os.W_OK):
            home = Path(tempfile.mkdtemp(prefix="hotline-", dir=STATE_FOLDER))
            home.chmod(0o711)
            copied = copy_binaries(binaries, home)
            if account.can_run(copied, home):
                return Place(account, copied, home / link.name)
            shutil.rmtree(home)
    raise DatabaseUnavailable(
        f"PostgreSQL does not run as root, and no other account can use {link.parent} and {binaries}."
        " Start as an ordinary user, or set HOTLINE_DATA_DIR to a folder such as /srv/hotline,"
        " or set HOTLINE_DATABASE_URL."
    )


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"number {uid}"
