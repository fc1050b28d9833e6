"""Rule sets as YAML: read whole, written back the same, and every planted fault found and named."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
import yaml

from routing.calendars import SEED
from routing.decide import KINDS, URGENCIES, Condition, Extension
from routing.directory import Department, Directory
from routing.places import load_areas
from routing.rule_building import build
from routing.rule_check import check, check_timeline
from routing.rule_drafts import EscalationDraft, LeadDraft, LimitDraft, RuleSetDraft
from routing.rulesets import BadRuleSet, dump, load_rule_set, parse_rule_set, to_dict
from routing.seeds import (
    commune_departments,
    district_departments,
    seed_directory,
    seed_fields,
    seed_groups,
    seed_kind_names,
    seed_kinds,
    seed_rule_sets,
)
from routing.tracks import TRACKS, TrackPhrases

ROOT = Path(__file__).parents[2]
AREAS = {place.code: place for place in load_areas((SEED / "areas.csv").read_text(encoding="utf-8"))}
DIRECTORY = seed_directory(AREAS)
FIELDS = seed_fields()
EXAMPLE, EXAMPLE_2025 = seed_rule_sets()


# --- seed --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("draft", seed_rule_sets(), ids=lambda draft: draft.code)
def test_the_shipped_rule_sets_have_no_error_and_can_be_built(draft: RuleSetDraft) -> None:
    problems = check(draft, DIRECTORY, FIELDS)
    # In an emergency a unit has as long to give back as to accept; the checker says so and lets it be.
    assert {(problem.severity, problem.code) for problem in problems} == {("warning", "give_back_equals_accept")}
    assert build(draft, DIRECTORY, FIELDS).code == draft.code


def test_the_shipped_rule_sets_follow_each_other_and_say_that_they_are_examples() -> None:
    assert check_timeline(seed_rule_sets()) == []
    assert (EXAMPLE.valid_from, EXAMPLE_2025.valid_from, EXAMPLE_2025.valid_to) == (
        date(2021, 5, 19),
        date(2025, 3, 1),
        None,
    )
    for draft in seed_rule_sets():
        assert "không phải quy chế của tỉnh" in draft.note
        assert "not the province's regulation" in draft.note
        assert [provision.number for provision in draft.provisions] == list(range(1, 28))
        assert all(provision.mark and provision.source for provision in draft.provisions)
        assert all(limit.source and limit.note[0] in "ABC" for limit in draft.limits)


@pytest.mark.parametrize("draft", seed_rule_sets(), ids=lambda draft: draft.code)
def test_every_field_has_a_lead_rule_of_its_own(draft: RuleSetDraft) -> None:
    patterns = {pattern for rule in draft.leads for pattern in rule.when.fields or ()}
    without = {
        code
        for code, field in FIELDS.items()
        if code not in patterns
        and f"{code.partition('.')[0]}.*" not in patterns
        and (field.valid_to is None or field.valid_to > draft.valid_from)
    }
    assert without == set()


def test_fields_have_two_levels_with_names_defaults_and_keywords() -> None:
    assert len(FIELDS) == 79
    for code, field in FIELDS.items():
        assert code.partition(".")[0] in seed_groups()
        assert field.name
        assert field.urgency in URGENCIES
        assert field.kind in KINDS
        assert field.track in (None, *TRACKS)
        assert 5 <= len(field.keywords) <= 12
        assert len(set(field.keywords)) == len(field.keywords)
    flagged = {code: field.track for code, field in FIELDS.items() if field.track}
    assert flagged == {
        "admin.corruption": "denunciation",
        "security.drug": "crime_tip",
        "security.gambling": "crime_tip",
    }


def test_departments_name_only_parents_heirs_and_kinds_that_exist() -> None:
    for department in DIRECTORY.departments.values():
        assert department.kind in seed_kinds()
        assert department.parent is None or department.parent in DIRECTORY.departments
        assert department.successor is None or department.successor in DIRECTORY.departments
        assert department.valid_to is None or department.valid_from < department.valid_to
    assert seed_kind_names().keys() == seed_kinds().keys()
    assert all(kind in seed_kinds() for then in seed_kinds().values() for kind in then)
    assert DIRECTORY.centre == "trung-tam-1022"
    # The owner of 1022 moved with the merger of 2025.
    owner = DIRECTORY.departments["trung-tam-1022"].parent or ""
    assert [DIRECTORY.living(owner, day) for day in (date(2024, 1, 1), date(2026, 1, 1))] == ["so-tttt", "so-khcn"]


def test_the_kinds_named_by_the_sample_reports_all_exist() -> None:
    lines = (ROOT / "tests/data/sample-reports.jsonl").read_text(encoding="utf-8").splitlines()
    assert {json.loads(line)["department_type"] for line in lines} <= seed_kinds().keys()


def test_committees_are_made_from_the_areas() -> None:
    districts = {d.code: d for d in district_departments(AREAS.values())}
    communes = {d.code: d for d in commune_departments(AREAS.values())}
    assert districts["ubnd-bp-d-dong-xoai"].valid_to == date(2025, 7, 1)
    assert districts["ubnd-bp-d-dong-xoai"].successor is None  # split among several
    assert districts["ubnd-bp-d-chon-thanh-huyen"].successor == "ubnd-bp-d-chon-thanh"
    tan_binh = communes["ubnd-bp-c-dong-xoai-tan-binh"]
    assert (tan_binh.name, tan_binh.kind) == ("UBND phường Tân Bình", "ubnd_xa")
    assert (tan_binh.valid_to, tan_binh.successor) == (date(2025, 7, 1), "ubnd-dn-c-binh-phuoc")
    on = date(2023, 1, 1)
    assert sum(d.lives(on) for d in districts.values()) == 11
    assert sum(d.lives(on) for d in communes.values()) == 111
    assert sum(d.lives(date(2025, 7, 1)) for d in communes.values()) == 40
    assert not any(d.lives(date(2025, 7, 1)) for d in districts.values())


# --- round trip --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("draft", seed_rule_sets(), ids=lambda draft: draft.code)
def test_what_is_written_reads_back_the_same(draft: RuleSetDraft) -> None:
    assert parse_rule_set(dump(draft)) == draft
    assert parse_rule_set(json.loads(json.dumps(to_dict(draft)))) == draft


def test_days_off_survive_the_round_trip_though_yaml_takes_off_for_false() -> None:
    text = (
        "ruleset: {id: r, valid_from: 2022-01-01}\n"
        "calendar: {week: {mon-fri: ['07:00-11:30']}, off: [{date: 2022-04-29, label: nghỉ}]}\n"
    )
    draft = parse_rule_set(text)
    assert draft.code == "r"
    assert "off" in draft.calendar
    again = parse_rule_set(dump(draft))
    assert build_calendar_days(again) == build_calendar_days(draft) == [date(2022, 4, 29)]


def build_calendar_days(draft: RuleSetDraft) -> list[date]:
    book = build(replace(a_small_set(), calendar=draft.calendar), DIRECTORY, FIELDS)
    return [row.day for row in book.calendar.exceptions([2022])]


def test_an_extending_file_replaces_rules_by_code_and_drops_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(
        "ruleset: {code: base, valid_from: 2021-01-01, note: kept}\n"
        "leads: [{code: x, lead: a}, {code: y, lead: b}, {code: z, lead: centre}]\n"
        "approve_by: centre\n",
        encoding="utf-8",
    )
    child = tmp_path / "child.yaml"
    child.write_text(
        "extends: base.yaml\ndrop: [y]\nruleset: {code: child}\nleads: [{code: x, lead: c}, {code: new, lead: d}]\n",
        encoding="utf-8",
    )
    draft = load_rule_set(child)
    assert (draft.code, draft.note, draft.approve_by) == ("child", "kept", "centre")
    assert [(rule.code, rule.lead) for rule in draft.leads] == [("x", "c"), ("z", "centre"), ("new", "d")]


@pytest.mark.parametrize("name", ["../base.yaml", "/etc/hosts", "itself.yaml", "5"])
def test_a_file_extends_only_another_file_of_its_folder(tmp_path: Path, name: str) -> None:
    path = tmp_path / "itself.yaml"
    path.write_text(f"extends: {name}\n", encoding="utf-8")
    with pytest.raises(BadRuleSet, match="extends"):
        load_rule_set(path)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "document"),
        ("[1, 2]", "document"),
        ("a: [", "YAML"),
        ("ruleset: {code: x}", "ruleset.valid_from"),
        ("ruleset: {code: x, valid_from: soon}", "ruleset.valid_from"),
        ("ruleset: {valid_from: 2021-01-01}", "ruleset.code"),
        ("ruleset: {code: x, valid_from: 2021-01-01, version: new}", "ruleset.version"),
        ("ruleset: {code: x, valid_from: 2021-01-01}\nledas: []", "ledas"),
        ("ruleset: {code: x, valid_from: 2021-01-01}\nleads: {}", "leads"),
        ("ruleset: {code: x, valid_from: 2021-01-01}\nleads: [5]", "leads[0]"),
        ("ruleset: {code: x, valid_from: 2021-01-01}\nleads: [{code: a}]", "leads[a].lead"),
        ("ruleset: {code: x, valid_from: 2021-01-01}\nleads: [{code: a, lead: b, rank: one}]", "leads[a].rank"),
        ("ruleset: {code: x, valid_from: 2021-01-01}\nleads: [{code: a, lead: b, when: {feild: c}}]", "leads[a].when"),
        (
            "ruleset: {code: x, valid_from: 2021-01-01}\nleads: [{code: a, lead: b, when: {fields: [1]}}]",
            "leads[a].when.fields",
        ),
        (
            "ruleset: {code: x, valid_from: 2021-01-01}\nleads: [{code: a, lead: b, when: {competence_clear: 1}}]",
            "leads[a].when.competence_clear",
        ),
        ("ruleset: {code: x, valid_from: 2021-01-01}\nlimits: [{code: a, stage: accept}]", "limits[a].amount"),
        ("ruleset: {code: x, valid_from: 2021-01-01}\nremind: [true]", "remind"),
        ("ruleset: {code: x, valid_from: 2021-01-01}\nextend: {max_ratio: big}", "extend.max_ratio"),
        ("ruleset: {code: x, valid_from: 2021-01-01}\nextend: {before_due: 1}", "extend"),
        ("ruleset: {code: x, valid_from: 2021-01-01}\ntracks: {phrases: []}", "tracks"),
        ("ruleset: {code: x, valid_from: 2021-01-01}\nextends: y.yaml", "extends"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(text: str, place: str) -> None:
    with pytest.raises(BadRuleSet) as error:
        parse_rule_set(text)
    assert place in str(error.value)


def test_every_unreadable_place_is_named_at_once() -> None:
    with pytest.raises(BadRuleSet) as error:
        parse_rule_set("ruleset: {code: x, valid_from: soon}\nleads: [{code: a}, {lead: b}]\n")
    assert len(error.value.problems) == 3


# --- the checker -------------------------------------------------------------------------------------------------


def a_small_set() -> RuleSetDraft:
    """The smallest rule set without a fault: one rule, the catch-all, and one limit for each stage."""
    return RuleSetDraft(
        code="small",
        version=1,
        valid_from=date(2022, 1, 1),
        calendar={"week": {"mon-fri": ["07:00-11:30", "13:30-17:00"]}},
        leads=(
            LeadDraft("light", "kind:local", when=Condition(fields=("infra.light",)), supporting=("so-xd",)),
            LeadDraft("catch-all", "centre", rank=1000),
        ),
        limits=tuple(
            LimitDraft(f"any-{stage}", stage, amount)
            for stage, amount in {
                "forward": "5min/calendar",
                "accept": "8h/working",
                "give_back": "4h/working",
                "resolve": "5d/working",
                "contribute": "2d/working",
                "reply": "8h/working",
            }.items()
        ),
        escalate=(EscalationDraft("1d/working", "unit_head"), EscalationDraft("3d/working", "owner_dept")),
    )


LIGHTS = {"infra.light": FIELDS["infra.light"]}  # the one field that the small set speaks of


def test_the_smallest_rule_set_has_no_fault() -> None:
    assert check(a_small_set(), DIRECTORY, LIGHTS) == []


Fault = Callable[[RuleSetDraft], RuleSetDraft]


def with_lead(**rule: object) -> Fault:
    return lambda draft: replace(draft, leads=(LeadDraft(**rule), *draft.leads))  # type: ignore[arg-type]


def with_limit(**rule: object) -> Fault:
    return lambda draft: replace(draft, limits=(*draft.limits, LimitDraft(**rule)))  # type: ignore[arg-type]


def without_limit(code: str) -> Fault:
    return lambda draft: replace(draft, limits=tuple(rule for rule in draft.limits if rule.code != code))


def with_(**members: object) -> Fault:
    return lambda draft: replace(draft, **members)  # type: ignore[arg-type]


def with_week(**week: object) -> Fault:
    return lambda draft: replace(draft, calendar={"week": week})


def when(**condition: object) -> Condition:
    return Condition(**condition)  # type: ignore[arg-type]


ONLY_EMERGENCY, URGENT = when(urgencies=("emergency",)), when(urgencies=("urgent",))


FAULTS: list[tuple[Fault, str, str]] = [
    # Who.
    (lambda d: replace(d, leads=d.leads[:1]), "no_catch_all", "leads"),
    (lambda d: replace(d, leads=(LeadDraft("last", "kind:local"),)), "no_catch_all", "leads"),
    (with_lead(code="r", lead="so-xyz", when=URGENT), "unknown_department", "r"),
    (with_lead(code="r", lead="kind:so_xyz", when=URGENT), "unknown_department", "r"),
    (with_lead(code="r", lead="kind:", when=URGENT), "bad_selector", "r"),
    # Began on 1 March 2025 and has no forerunner by its own code.
    (with_lead(code="r", lead="so-nnmt", when=URGENT), "dead_department", "r"),
    # The catch-all before everything else.
    (lambda d: replace(d, leads=(replace(d.leads[1], rank=1), d.leads[0])), "shadowed", "light"),
    (with_lead(code="r", lead="so-xd", rank=2000), "shadowed", "r"),
    # Two narrow rules that together leave nothing.
    (
        lambda d: replace(
            d,
            leads=(
                LeadDraft("one", "so-xd", 1, when(fields=("infra.*",))),
                LeadDraft("two", "so-yte", 1, when(fields=("health.*",))),
                LeadDraft("r", "so-tp", 2, when(fields=("infra.road", "health.covid"), urgencies=("urgent",))),
                *d.leads[1:],
            ),
        ),
        "shadowed",
        "r",
    ),
    (with_lead(code="catch-all", lead="so-xd", when=URGENT), "duplicate_code", "catch-all"),
    # When.
    (with_lead(code="r", lead="so-xd", when=when(fields=("infra.nothing",))), "unknown_field", "r"),
    (with_lead(code="r", lead="so-xd", when=when(fields=("nothing.*",))), "unknown_field", "r"),
    (with_lead(code="r", lead="so-xd", when=when(areas=("atlantis",))), "unknown_area", "r"),
    (with_lead(code="r", lead="so-xd", when=when(urgencies=("soon",))), "unknown_value", "r"),
    (with_lead(code="r", lead="so-xd", when=when(modes=("war",))), "unknown_value", "r"),
    (with_lead(code="r", lead="so-xd", when=when(channels=())), "empty_condition", "r"),
    # Limits.
    (without_limit("any-reply"), "missing_limit", "limits.reply"),
    (without_limit("any-contribute"), "missing_limit", "limits.contribute"),
    (
        lambda d: replace(d, limits=tuple(replace(r, when=URGENT) if r.stage == "resolve" else r for r in d.limits)),
        "missing_limit",
        "limits.resolve",
    ),
    (with_limit(code="r", stage="finish", amount="1d/working"), "unknown_stage", "r"),
    (with_limit(code="r", stage="publish", amount="0d/working"), "bad_amount", "r"),
    (with_limit(code="r", stage="publish", amount="-1d/working"), "bad_amount", "r"),
    (with_limit(code="r", stage="publish", amount="2 weeks"), "bad_amount", "r"),
    (with_limit(code="r", stage="accept", amount="1d/working"), "shadowed", "r"),
    (
        with_limit(code="r", stage="resolve", amount="4h/calendar", rank=1, when=ONLY_EMERGENCY),
        "accept_after_resolve",
        "any-accept, r",
    ),
    (
        with_limit(code="r", stage="resolve", amount="4h/calendar", rank=1, when=when(fields=("health.*",))),
        "accept_after_resolve",
        "any-accept, r",
    ),
    (
        with_limit(code="r", stage="accept", amount="1h/calendar", rank=1, when=ONLY_EMERGENCY),
        "give_back_after_accept",
        "any-give_back, r",
    ),
    # The rest.
    (with_(remind=("80%", "50%")), "bad_percentage", "remind"),
    (with_(remind=("0%", "100%")), "bad_percentage", "remind"),
    (with_(remind=("150%",)), "bad_percentage", "remind"),
    (with_(remind=("often",)), "bad_percentage", "remind"),
    (
        with_(escalate=(EscalationDraft("5d/working", "a"), EscalationDraft("1d/working", "b"))),
        "bad_ladder",
        "escalate",
    ),
    (with_(escalate=(EscalationDraft("later", "a"),)), "bad_amount", "escalate[0]"),
    (with_(extend=Extension(max=-1)), "bad_extension", "extend.max"),
    (with_(extend=Extension(max_ratio=0.0)), "bad_extension", "extend.max_ratio"),
    (with_(extend=Extension(granted_by="cousin")), "unknown_value", "extend.granted_by"),
    (with_(stop_while_waiting=("lunch",)), "unknown_value", "stop_while_waiting"),
    (with_(day_end="noon"), "unknown_value", "day_end"),
    (with_(approve_by="anyone"), "unknown_value", "approve_by"),
    (with_(give_backs_before_supervisor=0), "bad_number", "give_backs_before_supervisor"),
    (with_(close_after="0d/calendar"), "bad_amount", "close_after"),
    (with_(version=0), "bad_version", "ruleset.version"),
    (with_(valid_to=date(2022, 1, 1)), "bad_validity", "ruleset.valid_to"),
    (with_(tracks=(TrackPhrases("gossip", ("x",)),)), "unknown_value", "tracks.texts[gossip]"),
    (with_(tracks=(TrackPhrases("complaint", ()),)), "bad_track", "tracks.texts[complaint]"),
    (with_(track_fields={"no.field": "complaint"}), "unknown_field", "tracks.fields.no.field"),
    # The calendar.
    (with_week(mon=["07:00-12:00", "11:00-17:00"]), "bad_calendar", "calendar.week.mon"),
    (with_week(mon=[]), "bad_calendar", "calendar.week"),
    (with_(calendar={}), "bad_calendar", "calendar.week"),
]


VIETNAMESE = re.compile("[À-ỹ]")


@pytest.mark.parametrize(
    ("fault", "code", "where"), FAULTS, ids=[f"{i}-{code}" for i, (_, code, _) in enumerate(FAULTS)]
)
def test_a_planted_fault_is_found_and_named(fault: Fault, code: str, where: str) -> None:
    problems = check(fault(a_small_set()), DIRECTORY, FIELDS)
    found = [problem for problem in problems if (problem.code, problem.where) == (code, where)]
    assert found, problems
    assert found[0].severity == "error"
    vi, en = found[0].message_vi, found[0].message_en
    assert vi.endswith(".")
    assert en.endswith(".")
    assert VIETNAMESE.search(en) is None
    named = where.split(", ")[0]
    draft = fault(a_small_set())
    if named in {*(rule.code for rule in draft.leads), *(rule.code for rule in draft.limits)}:
        assert named in vi
        assert named in en


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (with_limit(code="r", stage="give_back", amount="8h/working", rank=1, when=URGENT), "give_back_equals_accept"),
        (with_lead(code="r", lead="so-xd", supporting=("so-nnmt",), when=URGENT), "dead_department"),
        (
            lambda d: replace(
                with_lead(code="r", lead="so-xd", when=when(fields=("social.covid_support",)))(d),
                valid_from=date(2026, 1, 1),
            ),
            "ended_field",
        ),
    ],
)
def test_what_is_only_doubtful_is_a_warning(fault: Fault, code: str) -> None:
    problems = check(fault(a_small_set()), DIRECTORY, FIELDS)
    assert (code, "warning") in {(problem.code, problem.severity) for problem in problems}


def test_a_rule_behind_one_that_may_find_nobody_is_not_shadowed() -> None:
    light = Condition(fields=("infra.light",))
    fallback = with_lead(code="fallback", lead="so-xd", rank=200, when=light)(a_small_set())
    assert check(fallback, DIRECTORY, LIGHTS) == []


def test_units_missing_in_some_places_are_counted_and_named() -> None:
    few = {code: d for code, d in DIRECTORY.departments.items() if code != "ubnd-dn-c-binh-phuoc"}
    problems = check(a_small_set(), Directory(few, AREAS, seed_kinds()), LIGHTS)
    assert [(problem.code, problem.where, problem.severity) for problem in problems] == [
        ("dead_department", "light", "warning")
    ]
    assert "1 trên 40" in problems[0].message_vi
    assert "1 of 40" in problems[0].message_en
    assert "2025-07-01" in problems[0].message_vi


def test_a_directory_without_a_living_centre_is_an_error() -> None:
    nobody = {code: d for code, d in DIRECTORY.departments.items() if d.kind != "centre"}
    assert "no_centre" in {p.code for p in check(a_small_set(), Directory(nobody, AREAS, seed_kinds()), FIELDS)}
    closed = {**nobody, "c": Department("c", "c", "centre", valid_to=date(2023, 1, 1))}
    codes = {p.code for p in check(a_small_set(), Directory(closed, AREAS, seed_kinds()), FIELDS)}
    assert {"no_centre", "no_catch_all"} <= codes


def test_errors_come_before_warnings() -> None:
    doubtful = with_limit(code="r", stage="give_back", amount="8h/working", rank=1, when=URGENT)(a_small_set())
    faulty = replace(doubtful, approve_by="anyone")  # looked at after the limits
    severities = [problem.severity for problem in check(faulty, DIRECTORY, LIGHTS)]
    assert severities == ["error", "warning"]


@pytest.mark.parametrize(
    ("first", "second", "code"),
    [
        ((date(2022, 1, 1), date(2023, 1, 1)), (date(2023, 1, 1), None), None),
        ((date(2022, 1, 1), date(2023, 1, 1)), (date(2023, 1, 2), None), "validity_gap"),
        ((date(2022, 1, 1), date(2023, 1, 1)), (date(2022, 12, 31), None), "overlapping_validity"),
        ((date(2022, 1, 1), None), (date(2023, 1, 1), None), "overlapping_validity"),
    ],
)
def test_gaps_and_overlaps_between_rule_sets_are_found(
    first: tuple[date, date | None], second: tuple[date, date | None], code: str | None
) -> None:
    sets = [replace(a_small_set(), valid_from=since, valid_to=until) for since, until in (second, first)]
    assert [problem.code for problem in check_timeline(sets)] == ([] if code is None else [code])


def test_building_a_faulty_draft_says_every_place() -> None:
    fault = with_limit(code="r", stage="publish", amount="2 weeks")(
        with_lead(code="s", lead="kind:")(replace(a_small_set(), remind=("often",), day_end="noon"))
    )
    with pytest.raises(BadRuleSet) as error:
        build(fault, DIRECTORY, FIELDS)
    assert [problem.partition(":")[0] for problem in error.value.problems] == ["s", "r", "remind", "day_end"]


def test_the_seed_files_are_plain_yaml_without_repeated_keys_or_codes() -> None:
    for name in ("fields.yaml", "departments.yaml"):
        document = yaml.safe_load((SEED / name).read_text(encoding="utf-8"))
        rows = document.get("departments") or [row for group in document["groups"] for row in group["fields"]]
        codes = [row["code"] for row in rows]
        assert len(codes) == len(set(codes))
