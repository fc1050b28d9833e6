"""Small cells of public tables are merged so that the total does not give them away."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ioc.queries import PublicTable, merge_small


@pytest.mark.parametrize(
    ("cells", "shown", "other"),
    [
        ({"a": 9, "b": 5}, {"a": 9, "b": 5}, 0),  # all large enough
        ({"a": 9, "b": 4, "c": 3}, {"a": 9}, 7),  # the small ones are enough together
        ({"a": 9, "b": 8, "c": 4}, {"a": 9}, 12),  # a single small one would be the difference to the total
        ({"a": 9, "b": 2, "c": 1}, {}, 12),  # two, but still small together
        ({"a": 3}, {}, 0),  # nothing to hide among: nothing told
        ({"a": 2, "b": 2}, {}, 0),
        ({"a": 9, "b": 0}, {"a": 9}, 0),  # nobody is no cell
        ({}, {}, 0),
    ],
)
def test_small_cells_are_merged(cells: dict[str, int], shown: dict[str, int], other: int):
    assert merge_small(cells) == PublicTable(shown, other)


@given(st.dictionaries(st.text(max_size=3), st.integers(0, 30), max_size=12))
def test_nothing_below_five_can_be_seen_or_subtracted(cells: dict[str, int]):
    table = merge_small(cells)
    total = sum(cells.values())
    hidden = [value for cell, value in cells.items() if value and cell not in table.cells]
    assert all(value >= 5 for value in table.cells.values())
    assert table.other == 0 or (table.other >= 5 and len(hidden) >= 2)
    assert table.other + sum(table.cells.values()) in ((total,) if table.other or not hidden else (0,))
    assert total - sum(table.cells.values()) == sum(hidden)
