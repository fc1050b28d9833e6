"""In CI (CI=true) a skipped test fails the run: there everything a test may ask for is installed."""

import os

import pytest

_skipped: list[str] = []


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """A module that skipped itself while being imported."""
    _remember(report)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """A test that was skipped; an expected failure also reports as skipped and is let through."""
    if not hasattr(report, "wasxfail"):
        _remember(report)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Only a run that would have passed changes its verdict."""
    if _skipped and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say why the run failed."""
    for nodeid in _skipped:
        terminalreporter.write_line(f"skipped, which CI does not allow: {nodeid}", red=True)


def _remember(report: pytest.CollectReport | pytest.TestReport) -> None:
    if report.skipped and os.environ.get("CI") == "true":
        _skipped.append(report.nodeid)
