"""Who goes on with a department's work, and reforms as documents: pure, no database."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from routing import seeds
from routing.calendars import SEED
from routing.directory import Department, Directory, Heir, Selector
from routing.editing.reforms import SHIPPED
from routing.places import Place, load_areas
from routing.reform_check import check
from routing.reforms import BadReform, after, heirs_of, named_from, parse, steps, whole

TURN = date(2025, 7, 1)
EVE, LATER = TURN - timedelta(days=1), TURN + timedelta(days=400)


def place(
    code: str, type: str, parent: str | None, *heirs: str, since: date | None = None, until: date | None = None
) -> Place:
    return Place(code, "", code, type, parent, since, until, heirs, None, None)


AREAS = {
    each.code: each
    for each in (
        place("old", "tỉnh", None, "new", until=TURN),
        place("new", "tỉnh", None, since=TURN),
        place("d", "huyện", "old", "c1", "c2", until=TURN),
        place("a1", "xã", "d", "c1", until=TURN),
        place("a2", "xã", "d", "c1", until=TURN),
        place("a3", "xã", "d", "c2", until=TURN),
        place("split", "xã", "d", "c1", "c2", until=TURN),
        place("c1", "xã", "new", since=TURN),
        place("c2", "xã", "new", since=TURN),
        place("far", "xã", "new", since=TURN),
    )
}  # fmt: skip
LONG_AGO = date(2000, 1, 1)
UNITS = {
    each.code: each
    for each in (
        Department("centre", "1022", "centre", valid_from=LONG_AGO),
        Department("ubnd-d", "UBND huyện d", "ubnd_huyen", "d", valid_from=LONG_AGO, valid_to=TURN),
        Department("ubnd-a1", "a1", "ubnd_xa", "a1", valid_from=LONG_AGO, valid_to=TURN, successor="ubnd-c1"),
        Department("ubnd-split", "split", "ubnd_xa", "split", valid_from=LONG_AGO, valid_to=TURN),
        Department("ubnd-c1", "c1", "ubnd_xa", "c1", valid_from=TURN),
        Department("ubnd-c2", "c2", "ubnd_xa", "c2", valid_from=TURN),
        Department("ubnd-far", "far", "ubnd_xa", "far", valid_from=TURN),
        Department(
            "so", "Sở A", "so_xd", valid_from=LONG_AGO, valid_to=TURN, successor="so-rest",
            heirs=(Heir("so-roads", (), ("roads.*",)), Heir("so-south", ("c2",), ("water.leak",))),
        ),
        Department("so-roads", "Sở đường", "so_xd", valid_from=TURN),
        Department("so-south", "Sở nam", "so_xd", valid_from=TURN),
        Department("so-rest", "Sở còn lại", "so_xd", valid_from=TURN, valid_to=LATER, successor="so-roads"),
        Department("board", "Ban", "quan_su", valid_from=LONG_AGO, valid_to=TURN),
        Department("named", "Tên mới", "thue", valid_from=LONG_AGO, names=((LONG_AGO, "Tên cũ"), (TURN, "Tên mới"))),
    )
}  # fmt: skip
DIRECTORY = Directory(UNITS, AREAS, {"ubnd_huyen": ("ubnd_xa",)})

HEIRS = {
    # department, area of the case, its field, day → who has it
    "one that lives has it itself": (("so-roads", None, None, TURN), "so-roads"),
    "on the last evening too": (("ubnd-d", "a1", None, EVE), "ubnd-d"),
    "a merged commune's one heir": (("ubnd-a1", None, None, TURN), "ubnd-c1"),
    "a district's by the old name of the place": (("ubnd-d", "a1", None, TURN), "ubnd-c1"),
    "another place of the district": (("ubnd-d", "a3", None, TURN), "ubnd-c2"),
    "a district's by the new name of the place": (("ubnd-d", "c2", None, TURN), "ubnd-c2"),
    "a district's without a place": (("ubnd-d", None, None, TURN), None),
    "a district's where only the district is known": (("ubnd-d", "d", None, TURN), None),
    "a district's in a place that was split": (("ubnd-d", "split", None, TURN), None),
    "a place that never lay in the district": (("ubnd-d", "far", None, TURN), None),
    "a split commune's own": (("ubnd-split", "split", None, TURN), None),
    "split by field": (("so", None, "roads.pothole", TURN), "so-roads"),
    "split by field and place": (("so", "a3", "water.leak", TURN), "so-south"),
    "split, the field but not the place": (("so", "a1", "water.leak", TURN), "so-rest"),
    "split, neither said": (("so", None, None, TURN), "so-rest"),
    "heirs that ended in their turn": (("so", None, None, LATER), "so-roads"),
    "abolished without an heir": (("board", "a1", None, TURN), None),
    "unknown": (("nobody", "a1", None, TURN), None),
}


@pytest.mark.parametrize("name", HEIRS)
def test_who_goes_on_with_a_case(name: str) -> None:
    asked, wanted = HEIRS[name]
    assert DIRECTORY.heir(*asked) == wanted


def test_heirs_in_a_circle_end_with_nobody() -> None:
    round_about = [
        Department(code, code, "thue", valid_from=LONG_AGO, valid_to=TURN, successor=heir)
        for code, heir in (("x", "y"), ("y", "x"))
    ]
    directory = Directory({each.code: each for each in round_about}, {})
    assert directory.heir("x", None, None, TURN) is None
    assert directory.kin("x") == ("y",)


def test_all_who_may_have_taken_the_work_over() -> None:
    assert DIRECTORY.heirs("ubnd-d", TURN) == {"ubnd-c1", "ubnd-c2"}
    assert DIRECTORY.heirs("so", TURN) == {"so-roads", "so-south", "so-rest"}
    assert DIRECTORY.heirs("ubnd-d", EVE) == {"ubnd-d"}
    assert DIRECTORY.heirs("board", TURN) == DIRECTORY.heirs("nobody", TURN) == frozenset()


def test_whoever_follows_an_heir_later_is_no_heir_yet() -> None:
    chain = [
        Department("x", "x", "so_xd", valid_from=LONG_AGO, valid_to=TURN, successor="y"),
        Department("y", "y", "so_xd", valid_from=LONG_AGO, valid_to=LATER, successor="z"),
        Department("z", "z", "so_xd", valid_from=LONG_AGO),
    ]
    directory = Directory({each.code: each for each in chain}, {})
    assert [directory.heirs("x", day) for day in (EVE, TURN, LATER)] == [{"x"}, {"y"}, {"z"}]
    assert [directory.heir("x", None, None, day) for day in (EVE, TURN, LATER)] == ["x", "y", "z"]


# a selector, area of the case, its field, day → who is meant: the same as has an open case of it
MEANT = {
    "split by field": (("so", None, "roads.pothole", TURN), "so-roads"),
    "split by field and place": (("so", "a3", "water.leak", TURN), "so-south"),
    "split, neither said": (("so", None, None, TURN), "so-rest"),
    "a district's by its code": (("ubnd-d", "a1", None, TURN), "ubnd-c1"),
    "nobody": (("board", "a1", None, TURN), None),
}


@pytest.mark.parametrize("name", MEANT)
def test_a_rule_that_names_an_ended_department_means_the_heir_of_this_case(name: str) -> None:
    (written, area, field, on), wanted = MEANT[name]
    for _ in range(2):  # the second answer is remembered
        assert DIRECTORY.resolve(Selector.parse(written), area, field, on) == wanted
    old = Department("old", "old", "thue", valid_from=LONG_AGO, valid_to=TURN, heirs=(Heir("named", (), ("tax.*",)),))
    of_a_kind = Directory({"old": old, "named": replace(UNITS["named"], kind="so_xd")}, {})
    assert of_a_kind.resolve(Selector.parse("kind:thue"), None, "tax.late", TURN) == "named"
    assert of_a_kind.resolve(Selector.parse("kind:thue"), None, "roads.pothole", TURN) is None


def test_ended_are_those_that_once_lived_and_never_the_centre() -> None:
    assert DIRECTORY.ended(EVE) == frozenset()
    assert DIRECTORY.ended(TURN) == {"ubnd-d", "ubnd-a1", "ubnd-split", "so", "board"}


def test_a_department_is_called_what_it_was_called_then() -> None:
    said = [DIRECTORY.name_at("named", day) for day in (date(1999, 1, 1), EVE, TURN, LATER)]
    assert said == ["Tên cũ", "Tên cũ", "Tên mới", "Tên mới"]
    assert DIRECTORY.name_at("so", EVE) == "Sở A"
    assert DIRECTORY.name_at("nobody", EVE) == "nobody"
    twice = named_from(named_from(UNITS["board"], "Ban hai", TURN), "Ban ba", LATER)
    assert [twice.name_at(day) for day in (EVE, TURN, LATER)] == ["Ban", "Ban hai", "Ban ba"]


def test_kin_go_straight_forwards_and_backwards_and_not_to_brothers() -> None:
    assert DIRECTORY.kin("ubnd-a1") == ("ubnd-c1",)
    assert DIRECTORY.kin("ubnd-c1") == ("ubnd-a1", "ubnd-d", "ubnd-split")
    assert DIRECTORY.kin("ubnd-d") == ("ubnd-c1", "ubnd-c2")
    assert DIRECTORY.kin("so-roads") == ("so", "so-rest")
    assert DIRECTORY.kin_areas("a1") == ("c1",)
    assert DIRECTORY.kin_areas("c1") == ("d", "a1", "a2", "split")
    assert DIRECTORY.kin_areas("nowhere") == ()


def test_places_are_counted_by_the_geography_of_a_day() -> None:
    assert [DIRECTORY.counted_as(code, TURN) for code in ("a1", "a2", "a3", "c1")] == ["c1", "c1", "c2", "c1"]
    assert [DIRECTORY.counted_as(code, TURN) for code in ("d", "split")] == ["d", "split"]  # no one unit any more
    assert DIRECTORY.counted_in("c1", TURN) == ("c1", "a1", "a2")
    assert DIRECTORY.counted_in("d", TURN) == ("d",)


# --- documents

HEAD = """reform:
  code: r
  name: Thử
  effective_on: 2025-07-01
"""
FAULTS = {
    # text after HEAD (which has four lines) → line and a part of what is said
    "nothing at all": ("", 1, "Chưa có thay đổi nào"),
    "a member nobody knows": ("places: {}\n", 5, "Không có mục nào"),
    "an unknown area": ("areas:\n  ended:\n    nowhere: c1\n", 7, "Không có địa bàn nowhere"),
    "an heir that does not live": ("areas:\n  ended:\n    a1: nowhere\n", 7, "nowhere không tồn tại"),
    "a code twice": ("departments:\n  ended:\n    so: {}\n    so: {}\n", 8, "ghi hai lần"),
    "a code with capitals": ("departments:\n  ended:\n    So_X: {}\n", 7, "ký tự"),
    "a code that is taken": (
        "areas:\n  new:\n    - {code: far2, name: Xa, type: xã}\n    - {code: old, name: Cũ, type: tỉnh}\n",
        8, "đã được dùng",
    ),
    "no such type": ("areas:\n  new:\n    - {code: q, name: Quận, type: quận}\n", 7, "loại địa bàn"),
    "no such kind": ("departments:\n  new:\n    - {code: q, name: Q, kind: so_la}\n", 7, "so_la"),
    "a parent that ends": (
        "areas:\n  new:\n    - {code: q, name: Q, type: xã, parent: far}\n  ended:\n    far: q\n",
        7, "far không tồn tại",
    ),
    "an heir that ends": ("departments:\n  ended:\n    so: {to: board}\n    board: {to: so}\n", 7, "board không"),
    "areas within it live on": ("areas:\n  ended:\n    new: old\n", 7, "trực thuộc"),
    "half a point": ("areas:\n  new:\n    - {code: q, name: Q, type: xã, lat: 11.5}\n", 7, "đi cùng nhau"),
    "no day": ("", 1, ""),
    "a list": ("- areas\n", 1, "Tệp trống"),
    "not YAML": ("areas: [\n", 6, "YAML"),
    "an alias": ("areas: &a {}\ndepartments: *a\n", 1, "bí danh"),
    "an unknown department renamed": ("departments:\n  renamed:\n    ghost: Ma\n", 7, "ghost không tồn tại"),
    "the centre without an heir": ("departments:\n  ended:\n    centre: {}\n", 7, "Trung tâm"),
    "ended before": ("departments:\n  ended:\n    gone: {to: so}\n", 7, "không tồn tại đến ngày"),
    "a day before all days": (
        "", 4, "1900"),
    "a character nobody sees": ('departments:\n  renamed:\n    so: "A\\0"\n', 7, "điều khiển"),
    "a name without letters": ('areas:\n  new:\n    - {code: q, name: "\u0301", type: xã}\n', 7, "phải có chữ"),
    "a code with a meaning": ("departments:\n  new:\n    - {code: none, name: N, kind: so_xd}\n", 7, "có nghĩa riêng"),
    "no mailbox": ("departments:\n  new:\n    - {code: q, name: Q, kind: so_xd, email: zz}\n", 7, "e-mail"),
    "parents in a circle": (
        "departments:\n  new:\n    - {code: p, name: P, kind: so_xd, parent: q}\n"
        "    - {code: q, name: Q, kind: so_xd, parent: p}\n",
        7, "nằm dưới chính nó",
    ),
    "an heir of no field": ("departments:\n  ended:\n    so: {heirs: [{to: board, fields: [mars.*]}]}\n", 7, "mars"),
    "another name from that day": ("departments:\n  renamed:\n    taken: Tên khác\n", 7, "“Tên mới”"),
    "other heirs from that day": ("departments:\n  ended:\n    ending: {to: so}\n", 7, "khác: board"),
    "other areas from that day": ("areas:\n  ended:\n    a2: far\n", 7, "khác: a1"),
    "an heir of no area": ("departments:\n  ended:\n    so: {heirs: [{to: board, areas: [mars]}]}\n", 7, "mars"),
}  # fmt: skip
BEFORE = Directory(
    {
        **{code: Department(code, code, "so_xd", valid_from=LONG_AGO) for code in ("so", "board")},
        "taken": Department("taken", "t", "so_xd", valid_from=LONG_AGO, names=((TURN, "Tên mới"),)),
        "ending": Department("ending", "e", "so_xd", valid_from=LONG_AGO, valid_to=TURN, successor="board"),
        "gone": Department("gone", "gone", "so_xd", valid_from=LONG_AGO, valid_to=date(2020, 1, 1)),
        "centre": Department("centre", "1022", "centre", valid_from=LONG_AGO),
    },
    {
        "old": place("old", "tỉnh", None),
        "new": place("new", "tỉnh", None),
        "a1": place("a1", "xã", "old"),
        "a2": place("a2", "xã", "old", "a1", until=TURN),
        "far": place("far", "xã", "new"),
    },
)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_told_with_its_line(name: str) -> None:
    more, line, words = FAULTS[name]
    head = HEAD.replace("2025-07-01", "0001-01-01") if name == "a day before all days" else HEAD
    head = "" if name == "a list" else head
    text = (HEAD.replace("  effective_on: 2025-07-01\n", "") if name == "no day" else head) + more
    try:
        found = check(parse(text), BEFORE, {"so_xd": "Sở", "centre": ""}, ["infra.road"])
    except BadReform as bad:
        found = list(bad.faults)
    assert found[0].line == line, found
    assert words in found[0].vi, found
    assert all(each.en for each in found)


def test_a_document_is_read_and_what_it_does_is_told() -> None:
    text = HEAD + (
        "committees: true\n"
        "areas:\n  new:\n    - {code: n, name: Mới, type: xã, parent: new}\n  ended:\n    a1: n\n"
        "departments:\n  renamed: {board: Ban mới}\n"
        "  ended:\n    so: {to: board, heirs: [{to: ubnd-n, areas: n, fields: roads.*}]}\n"
    )
    before = Directory(
        {**BEFORE.departments, "ubnd-a1": Department("ubnd-a1", "UBND xã a1", "ubnd_xa", "a1")}, BEFORE.areas
    )
    reform = whole(parse(text), before)
    assert check(reform, before, {"ubnd_xa": "UBND xã"}, ["roads.pothole"]) == []
    assert [(step.what, step.code, step.to, step.already) for step in steps(reform, before)] == [
        ("area_begins", "n", (), False),
        ("area_ends", "a1", ("xã Mới",), False),
        ("department_begins", "ubnd-n", (), False),
        ("department_renamed", "board", ("Ban mới",), False),
        ("department_ends", "ubnd-a1", ("UBND xã Mới",), False),
        ("department_ends", "so", ("UBND xã Mới", "board"), False),
    ]  # fmt: skip
    then = after(reform, before)
    assert then.heir("so", "a1", "roads.pothole", TURN) == "ubnd-n"
    assert then.heir("so", "a1", "water.leak", TURN) == "board"
    assert then.heir("ubnd-a1", None, None, TURN) == "ubnd-n"
    assert [then.name_at("board", day) for day in (EVE, TURN)] == ["board", "Ban mới"]
    assert heirs_of(reform.ended_departments["so"]) == then.departments["so"].heirs
    # Once in the directory nothing is left to do, and it is not wrong.
    assert all(step.already for step in steps(whole(parse(text), then), then))
    assert check(whole(parse(text), then), then, {"ubnd_xa": "UBND xã"}, ["roads.pothole"]) == []


# --- the change of 1 July 2025


def shipped_areas() -> dict[str, Place]:
    return {each.code: each for each in load_areas((SEED / "areas.csv").read_text(encoding="utf-8"))}


def on_the_eve() -> Directory:
    """The shipped directory with nothing in it that anybody knew of only later."""
    areas = {
        code: replace(each, valid_to=None, successors=()) if each.valid(EVE) else each
        for code, each in shipped_areas().items()
        if each.began(EVE)
    }  # fmt: skip
    known = seeds.seed_directory(areas)
    return Directory(
        {code: each for code, each in known.departments.items() if each.valid_from <= EVE}, areas, known.kinds
    )


def test_the_shipped_reform_makes_of_the_eve_what_is_shipped_for_today() -> None:
    before = on_the_eve()
    reform = whole(parse(SHIPPED.read_text(encoding="utf-8")), before)
    assert check(reform, before, seeds.seed_kind_names(), seeds.seed_fields()) == []
    then, wanted = after(reform, before), shipped_areas()
    for code, area in wanted.items():
        made = then.areas[code]
        assert isinstance(made, Place)
        assert set(made.successors) == set(area.successors), code
        assert (made.name, made.type, made.parent, made.valid_from, made.valid_to, made.lat, made.official_code) == (
            area.name, area.type, area.parent, area.valid_from, area.valid_to, area.lat, area.official_code
        )  # fmt: skip
    assert then.areas.keys() == wanted.keys()
    units = seeds.seed_directory(wanted).departments
    assert then.departments.keys() == units.keys()
    for code, unit in units.items():
        if unit.area is not None:
            made_unit = then.departments[code]
            assert (made_unit.name, made_unit.valid_from, made_unit.valid_to, made_unit.successor) == (
                unit.name, unit.valid_from, unit.valid_to, unit.successor
            )  # fmt: skip
    ended = [step for step in steps(reform, before) if step.what == "area_ends"]
    assert len(ended) == 1 + 11 + 111
    assert sum(step.what == "area_begins" for step in steps(reform, before)) == 1 + 40


def test_every_case_in_a_commune_of_the_old_province_has_a_committee_the_next_morning() -> None:
    reform = whole(parse(SHIPPED.read_text(encoding="utf-8")), before := on_the_eve())
    then = after(reform, before)
    communes = [each for each in before.areas.values() if each.code.startswith("bp-c-") and each.valid_to is None]
    assert len(communes) == 111
    for commune in communes:
        heir = then.heir(f"ubnd-{commune.code}", commune.code, None, TURN)
        assert heir is not None
        assert then.departments[heir].lives(TURN)
        assert then.heir(f"ubnd-{commune.parent}", commune.code, None, TURN) == heir  # the district's there
