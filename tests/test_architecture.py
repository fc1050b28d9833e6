"""What import-linter cannot see: entry files, commits at the edge, imports inside functions, settings in the docs."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
PACKAGES = CONTRACTS["root_packages"]
ENTRIES = ["main.py", "worker.py"]
OURS = {*PACKAGES, "main", "worker"}

# Who may end a transaction, and why it is an edge.
EDGES = {
    "core/db.py": "the request's transaction",
    "core/due.py": "a claim is committed before the vendor is called, its result after",
    "worker.py": "the loop is its own edge",
    "migrations/env.py": "migrations are no request",
}

DATABASE = {"sqlalchemy", "sqlmodel", "asyncpg"}
HTTP = {"fastapi", "starlette"}
SQL = re.compile(
    r"\s*(select\b.+\bfrom\b|insert\s+into\b|update\b.+\bset\b|delete\s+from\b|with\b.+\bas\s*\(|"
    r"(create|alter|drop|truncate|grant|revoke)\s+(table|index|role|schema|database|type|all|select)\b)",
    re.IGNORECASE | re.DOTALL,
)


def sources(*places: str) -> list[Path]:
    """Python files below folders, or the files themselves, except migrations' generated versions."""
    files = [ROOT / place for place in places if place.endswith(".py")]
    below = [path for place in places for path in (ROOT / place).rglob("*.py")]
    return sorted(path for path in files + below if "versions" not in path.relative_to(ROOT).parts)


PRODUCT = sources(*PACKAGES, "migrations", *ENTRIES)


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def imports(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and full name of every import below a node: `from web import api` gives web.api."""
    for each in ast.walk(node):
        if isinstance(each, ast.Import):
            yield from ((each.lineno, alias.name) for alias in each.names)
        elif isinstance(each, ast.ImportFrom):
            assert each.level == 0, f"relative import in line {each.lineno}"
            yield from ((each.lineno, f"{each.module}.{alias.name}") for alias in each.names)


def roots(path: Path) -> set[str]:
    return {name.partition(".")[0] for _, name in imports(tree(path))}


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Line and value of every string that is no docstring; of an f-string the fixed parts joined."""
    whole = tree(path)
    skipped: set[int] = set()
    for node in ast.walk(whole):
        if isinstance(node, ast.Expr):  # a string standing alone documents
            skipped.add(id(node.value))
        elif isinstance(node, ast.JoinedStr):
            skipped.update(id(part) for part in node.values)
    for node in ast.walk(whole):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.JoinedStr):
            yield node.lineno, "?".join(str(part.value) for part in node.values if isinstance(part, ast.Constant))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


@pytest.mark.parametrize("path", [path for path in PRODUCT if named(path) not in ENTRIES], ids=named)
def test_nobody_imports_the_entry_files(path: Path) -> None:
    assert not roots(path) & {"main", "worker"}


def test_only_main_starts_the_worker() -> None:
    assert "main" not in roots(ROOT / "worker.py")
    assert "main" not in roots(ROOT / "main.py")


@pytest.mark.parametrize(
    ("entry", "forbidden"),
    [
        ("main.py", DATABASE),  # the command line and the app's wiring: work is done below
        ("worker.py", HTTP | {"web"}),  # the loop serves nobody
    ],
)
def test_entry_files_stay_entries(entry: str, forbidden: set[str]) -> None:
    assert not roots(ROOT / entry) & forbidden


def test_main_holds_no_sql() -> None:
    assert [(line, text) for line, text in texts(ROOT / "main.py") if SQL.match(text)] == []


@pytest.mark.parametrize(
    ("text", "is_sql"),
    [
        ("select id from cases", True),
        ("\n  WITH due AS (select 1)", True),
        ("insert into cases values ($1)", True),
        ("update cases set status = $1", True),
        ("Select a file", False),
        ("Update what was set", True),  # prose that reads like SQL is reworded; better than SQL that reads like prose
        ("Create the first administrator", False),
        ("grant a role to a person", False),
    ],
)
def test_sql_is_recognised(text: str, is_sql: bool) -> None:
    assert bool(SQL.match(text)) is is_sql


@pytest.mark.parametrize("path", PRODUCT, ids=named)
def test_transactions_end_only_at_an_edge(path: Path) -> None:
    commits = [
        node.lineno
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "commit"
    ]
    assert not commits or named(path) in EDGES


@pytest.mark.parametrize("path", PRODUCT, ids=named)
def test_our_packages_are_imported_at_the_top_but_by_the_command_line(path: Path) -> None:
    if path == ROOT / "main.py":  # three processes start there, each with a part of it
        return
    inside = [
        (line, name)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for line, name in imports(node)
        if name.partition(".")[0] in OURS
    ]
    assert inside == []


def test_the_picture_in_architecture_is_the_contract() -> None:
    """The line `main, worker ▸ web ▸ … ▸ core` in ARCHITECTURE.md names the layers import-linter enforces."""
    layers = next(contract["layers"] for contract in CONTRACTS["contracts"] if contract["type"] == "layers")
    pictured = re.search(r"main, worker ▸ (.+? ▸ core)\b", (ROOT / "ARCHITECTURE.md").read_text())
    assert pictured
    assert re.sub(r"[{} ]", "", pictured[1]) == "▸".join(layers).replace(" ", "")


def test_every_package_is_in_a_layer() -> None:
    layers = next(contract["layers"] for contract in CONTRACTS["contracts"] if contract["type"] == "layers")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert sorted(name for layer in layers for name in layer.split(" | ")) == sorted(PACKAGES)
    assert {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"migrations", "bench"} == set(PACKAGES)
    assert project["tool"]["setuptools"]["packages"] == PACKAGES
    assert set(PACKAGES) <= set(project["tool"]["mypy"]["files"])


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_pinned_requirements_have_hashes_and_name_no_host(name: str) -> None:
    text = (ROOT / name).read_text()
    assert "://" not in text
    pins = re.findall(r"^[\w.-]+(?:\[[\w,-]+\])?==\S+.*?(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL)
    assert pins
    assert [pin.split("\n")[0] for pin in pins if "--hash=sha256:" not in pin] == []


def test_tests_run_on_the_versions_that_run_in_production() -> None:
    """Otherwise `make test` would change the packages under a running `make run`."""
    runtime, dev = (
        set(re.findall(r"^[\w.-]+==[^\s;]+", (ROOT / name).read_text(), re.MULTILINE))
        for name in ("requirements.txt", "requirements-dev.txt")
    )
    assert runtime
    assert runtime <= dev


@pytest.mark.parametrize("field", sorted(Settings.model_fields))
def test_every_setting_is_in_the_operators_manual(field: str) -> None:
    name = f"{Settings.model_config['env_prefix']}{field}".upper()
    assert re.search(rf"\b{name}\b", (ROOT / "docs" / "operator.md").read_text())


def test_tests_of_a_package_are_none_themselves() -> None:
    """`tests/channels/__init__.py` would make `import channels` mean the tests."""
    ours = {each.parent.name for each in ROOT.glob("*/__init__.py")}
    assert "channels" in ours
    assert [each for each in (ROOT / "tests").rglob("__init__.py") if each.parent.name in ours] == []
