"""Where attachments lie: a small interface, and a local folder behind it.

Keys are content addressed, so equal files lie there once. Who refers to a key is the database's business. Beside a
picture may lie a small one made of it, which can be made again at any time: no backup holds it.
"""

import asyncio
import hashlib
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Protocol

_KEY = re.compile(r"([0-9a-f]{2})/(\1[0-9a-f]{62}|\.\1[0-9a-f]{62}\.small)")
_INCOMING = ".incoming"  # no key can name it
_LEFTOVER_AGE = 3600  # seconds; no write takes that long, so an older one belongs to a process that died


def key_of(sha256: str) -> str:
    """The key of the bytes with this digest (lower-case hexadecimal)."""
    return f"{sha256[:2]}/{sha256}"


def small_key_of(sha256: str) -> str:
    """The key of the small picture made of the bytes with this digest. The dot keeps it out of backups."""
    return f"{sha256[:2]}/.{sha256}.small"


class FileStore(Protocol):
    """Bytes by key. Keys are those of `key_of` and `small_key_of`; another raises ValueError."""

    async def put(self, key: str, data: bytes) -> None:
        """Keep `data`, of which a key of `key_of` must be the digest; durable on return, never visible in part."""

    async def open(self, key: str) -> BinaryIO:
        """The bytes as a file at its start, for the caller to close. Raises FileNotFoundError."""

    async def exists(self, key: str) -> bool:
        """Whether the bytes are there."""

    async def delete(self, key: str) -> None:
        """Forget the bytes and the small picture made of them, or do nothing if they are not there.

        Other rows with the same key lose them too.
        """


class LocalStore:
    """A folder. A file is written aside, flushed, then renamed to its key, so a crash leaves the whole file or none.

    All paths are opened below the root without following links, so a link planted inside leads nowhere.
    """

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self._root = root.resolve()
        with _folder(self._root) as folder, _subfolder(folder, _INCOMING, make=True) as incoming:
            _remove_leftovers(incoming)

    async def put(self, key: str, data: bytes) -> None:
        """As in FileStore."""
        await asyncio.to_thread(self._put, key, data)

    async def open(self, key: str) -> BinaryIO:
        """As in FileStore."""
        return await asyncio.to_thread(self._open, key)

    async def exists(self, key: str) -> bool:
        """As in FileStore."""
        return await asyncio.to_thread(self._exists, key)

    async def delete(self, key: str) -> None:
        """As in FileStore."""
        await asyncio.to_thread(self._delete, key)

    def _put(self, key: str, data: bytes) -> None:
        prefix, name = _parts(key)
        if not _is_small(name) and hashlib.sha256(data).hexdigest() != name:
            raise ValueError("the key is not the digest of the data")
        with (
            _folder(self._root) as root,
            _subfolder(root, prefix, make=True) as folder,
            _subfolder(root, _INCOMING, make=True) as incoming,
        ):
            if not _is_file(name, folder):
                _write(data, incoming, folder, name)
            # Also when the file was there: its writer may not have come this far before we promise that it stays.
            os.fsync(folder)
            os.fsync(root)

    def _open(self, key: str) -> BinaryIO:
        prefix, name = _parts(key)
        with _folder(self._root) as root, _subfolder(root, prefix) as folder:
            if not _is_file(name, folder):
                raise FileNotFoundError(key)
            return os.fdopen(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder), "rb")

    def _exists(self, key: str) -> bool:
        prefix, name = _parts(key)
        try:
            with _folder(self._root) as root, _subfolder(root, prefix) as folder:
                return _is_file(name, folder)
        except FileNotFoundError:
            return False

    def _delete(self, key: str) -> None:
        prefix, name = _parts(key)
        names = [name] if _is_small(name) else [name, small_key_of(name).removeprefix(f"{prefix}/")]
        with suppress(FileNotFoundError), _folder(self._root) as root, _subfolder(root, prefix) as folder:
            for each in names:
                with suppress(FileNotFoundError):
                    os.unlink(each, dir_fd=folder)
            os.fsync(folder)


def _parts(key: str) -> tuple[str, str]:
    matched = _KEY.fullmatch(key)
    if matched is None:
        raise ValueError("not a key")
    return matched[1], matched[2]


def _is_small(name: str) -> bool:
    return name.startswith(".")


@contextmanager
def _folder(path: str | Path, dir_fd: int | None = None) -> Iterator[int]:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dir_fd)
    try:
        yield folder
    finally:
        os.close(folder)


@contextmanager
def _subfolder(root: int, name: str, *, make: bool = False) -> Iterator[int]:
    if make:
        with suppress(FileExistsError):
            os.mkdir(name, 0o750, dir_fd=root)
    with _folder(name, root) as folder:
        yield folder


def _is_file(name: str, folder: int) -> bool:
    try:
        return stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False


def _write(data: bytes, incoming: int, folder: int, name: str) -> None:
    aside = f"{os.getpid()}-{secrets.token_hex(8)}"
    file = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640, dir_fd=incoming)
    try:
        with os.fdopen(file, "wb") as target:
            target.write(data)
            target.flush()
            os.fsync(target.fileno())
        os.rename(aside, name, src_dir_fd=incoming, dst_dir_fd=folder)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(aside, dir_fd=incoming)
        raise


def _remove_leftovers(incoming: int) -> None:
    oldest = time.time() - _LEFTOVER_AGE
    for name in os.listdir(incoming):
        with suppress(FileNotFoundError):
            if os.stat(name, dir_fd=incoming, follow_symlinks=False).st_mtime < oldest:
                os.unlink(name, dir_fd=incoming)
