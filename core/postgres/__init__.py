"""The embedded PostgreSQL: ordinary server binaries under our own small supervisor. No driver and no SQL of ours."""

from core.postgres.binaries import DatabaseUnavailable, candidates, find_binaries, version_of
from core.postgres.cluster import Cluster

__all__ = ["Cluster", "DatabaseUnavailable", "candidates", "find_binaries", "version_of"]
