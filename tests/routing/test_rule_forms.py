"""A rule set edited row by row: where rows stand, what they say, and what that changes for cases."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing import rule_forms
from routing.calendars import SEED, province_calendar
from routing.decide import Condition, Extension, decide
from routing.places import load_areas
from routing.rule_building import build
from routing.rule_check import check
from routing.rule_differences import Change, differences
from routing.rule_drafts import EscalationDraft, LeadDraft, LimitDraft, RuleSetDraft
from routing.rule_known import ASSET_OWNERS, FLAGS, ROLES, SEVERAL_UNITS
from routing.rule_law import law
from routing.rulesets import dump, load_rule_set, parse_rule_set
from routing.seeds import seed_directory, seed_fields, seed_rule_sets
from routing.tracks import TrackPhrases
from routing.working_time import Amount

AREAS = {place.code: place for place in load_areas((SEED / "areas.csv").read_text(encoding="utf-8"))}
DIRECTORY = seed_directory(AREAS)
FIELDS = seed_fields()
KNOWN = rule_forms.Known(FIELDS, DIRECTORY)
EXAMPLE = seed_rule_sets()[-1]
HCMC = load_rule_set(SEED / "ruleset-hcmc-2025.yaml")
LIGHTS = Condition(fields=("infra.light",))
# Those of R09 that are not urgent by themselves: urgent ones have three days by R09-urgent, too.
NINTH = ("infra.light", "infra.road", "infra.sidewalk_works", "env.waste", "env.noise", "order.*")
TWO_DAYS = LimitDraft("", "resolve", "2d/working", when=LIGHTS)
HELPED = LeadDraft("", "so-xd", when=LIGHTS, supporting=("dien-luc",))
RULES = sorted(row.code for row in rule_forms.all_rules(EXAMPLE))

Fault = Callable[[RuleSetDraft], RuleSetDraft]


def asked(draft: RuleSetDraft, stage: str) -> list[str]:
    """Codes of the limits of a stage in the order in which they are asked."""
    return [row.code for row in rule_forms.in_order(draft.limits) if row.stage == stage]


def errors(draft: RuleSetDraft) -> set[tuple[str, str]]:
    return {(each.code, each.where) for each in check(draft, DIRECTORY, FIELDS) if each.severity == "error"}


def with_limit(code: str, **members: object) -> Fault:
    return lambda draft: replace(
        draft,
        limits=tuple(replace(row, **members) if row.code == code else row for row in draft.limits),  # type: ignore[arg-type]
    )


# --- rows --------------------------------------------------------------------------------------------------------


def test_a_limit_for_street_lights_stands_just_before_the_rule_that_decides_for_them() -> None:
    draft = rule_forms.put_limit(EXAMPLE, TWO_DAYS, None, KNOWN)
    order = asked(draft, "resolve")
    # R08 (emergencies) and R11 (complex) are still asked before: only ordinary lights are mended in two days
    assert order[order.index("resolve-infra-light") + 1] == "R09"
    assert order.index("R08") < order.index("R11") < order.index("resolve-infra-light")
    assert errors(draft) == set()
    assert parse_rule_set(dump(draft)) == draft


@pytest.mark.parametrize(
    ("urgency", "amount"), [("normal", "2d/working"), ("emergency", "4h/calendar"), ("complex", "15d/calendar")]
)
def test_the_new_limit_takes_ordinary_lights_and_nothing_more_urgent(urgency: str, amount: str) -> None:
    book = build(rule_forms.put_limit(EXAMPLE, TWO_DAYS, None, KNOWN), DIRECTORY, FIELDS)
    case = replace(rule_forms.witness(LIGHTS, FIELDS), urgency=urgency)
    limit = decide(case, book).limit("resolve")
    assert limit is not None
    assert str(limit.amount) == amount


def test_a_row_that_is_edited_keeps_its_code_and_its_place() -> None:
    row = rule_forms.limit_row(EXAMPLE, "R09")
    draft = rule_forms.put_limit(EXAMPLE, replace(row, code="other", rank=1, amount="4d/working"), "R09", KNOWN)
    assert asked(draft, "resolve") == asked(EXAMPLE, "resolve")
    assert rule_forms.limit_row(draft, "R09").amount == "4d/working"
    lead = rule_forms.lead_row(EXAMPLE, "light-manhole")
    draft = rule_forms.put_lead(EXAMPLE, replace(lead, lead="so-xd"), "light-manhole", KNOWN)
    assert rule_forms.lead_row(draft, "light-manhole").lead == "so-xd"
    assert [each.code for each in draft.leads] == [each.code for each in EXAMPLE.leads]


def test_a_limit_that_is_given_another_stage_leaves_the_old_one() -> None:
    row = replace(rule_forms.limit_row(EXAMPLE, "R26"), stage="reply")
    draft = rule_forms.put_limit(EXAMPLE, row, "R26", KNOWN)
    assert asked(draft, "publish") == []
    assert asked(draft, "reply")[-2:] == ["R26", "reply"]


def test_a_new_lead_rule_stands_before_the_one_that_leads_now() -> None:
    draft = rule_forms.put_lead(EXAMPLE, LeadDraft("", "so-xd", when=LIGHTS), None, KNOWN)
    codes = [row.code for row in rule_forms.in_order(draft.leads)]
    assert codes.index("lead-infra-light") + 1 == codes.index("light-manhole")


def test_a_row_for_an_area_stands_before_the_one_for_all_around_it() -> None:
    around, inside = "dn", "dn-c-binh-phuoc"
    wide = LimitDraft("", "accept", "7h/working", when=Condition(areas=(around,)))
    draft = rule_forms.put_limit(EXAMPLE, wide, None, KNOWN)
    narrow = LimitDraft("", "accept", "6h/working", when=Condition(areas=(inside,)))
    both = rule_forms.put_limit(draft, narrow, None, KNOWN)
    assert asked(both, "accept")[-3:] == ["accept-dn-c-binh-phuoc", "accept-dn", "R06"]
    assert errors(both) == set()
    (change,) = differences(draft, both, KNOWN)
    assert (change.when.areas, change.was, change.now) == ((inside,), ("7h/working",), ("6h/working",))


def test_a_code_that_is_taken_gets_a_number() -> None:
    draft = EXAMPLE
    for _ in range(3):
        draft = rule_forms.put_limit(draft, TWO_DAYS, None, KNOWN)
    assert [code for code in asked(draft, "resolve") if "light" in code] == [
        "resolve-infra-light-3",
        "resolve-infra-light-2",
        "resolve-infra-light",
    ]
    assert ("shadowed", "resolve-infra-light") in errors(draft)


def test_a_rule_is_taken_out() -> None:
    assert "R09" not in asked(rule_forms.drop_rule(EXAMPLE, "R09"), "resolve")
    assert all(row.code != "water" for row in rule_forms.drop_rule(EXAMPLE, "water").leads)


@pytest.mark.parametrize(
    "act",
    [
        lambda: rule_forms.drop_rule(EXAMPLE, "none"),
        lambda: rule_forms.move(EXAMPLE, "none", up=True),
        lambda: rule_forms.limit_row(EXAMPLE, "water"),
        lambda: rule_forms.put_limit(EXAMPLE, TWO_DAYS, "none", KNOWN),
        lambda: rule_forms.put_lead(EXAMPLE, LeadDraft("", "centre"), "R09", KNOWN),
        lambda: rule_forms.put_settings(EXAMPLE, {"leads": ()}),
    ],
    ids=["drop", "move", "limit", "put limit", "put lead", "setting"],
)
def test_what_a_draft_has_not_is_not_found(act: Callable[[], object]) -> None:
    with pytest.raises(KeyError):
        act()


@given(st.sampled_from(RULES), st.booleans())
def test_a_step_changes_two_places_and_the_step_back_restores_them(code: str, up: bool) -> None:
    kind = "leads" if any(row.code == code for row in EXAMPLE.leads) else "limits"

    def order(draft: RuleSetDraft) -> list[str]:
        if kind == "leads":
            return [row.code for row in rule_forms.in_order(draft.leads)]
        return asked(draft, rule_forms.limit_row(draft, code).stage)

    moved = rule_forms.move(EXAMPLE, code, up=up)
    was, now = order(EXAMPLE), order(moved)
    end = was[0] if up else was[-1]
    assert (moved == EXAMPLE) is (code == end)
    if code != end:
        assert now.index(code) == was.index(code) + (-1 if up else 1)
        assert sum(one != other for one, other in zip(was, now, strict=True)) == 2
        assert order(rule_forms.move(moved, code, up=not up)) == was
    assert {row.code for row in moved.leads} == {row.code for row in EXAMPLE.leads}


@given(st.sampled_from(sorted(FIELDS)), st.sampled_from(["accept", "resolve", "reply", "publish"]))
def test_a_new_limit_of_any_field_decides_for_its_ordinary_cases(field: str, stage: str) -> None:
    when = Condition(fields=(field,))
    draft = rule_forms.put_limit(EXAMPLE, LimitDraft("", stage, "1h/working", when=when), None, KNOWN)
    code = next(row.code for row in draft.limits if row not in EXAMPLE.limits)
    limit = decide(rule_forms.witness(when, FIELDS), build(draft, DIRECTORY, FIELDS)).limit(stage)
    assert limit is not None
    assert limit.rule == code


def test_a_copy_begins_on_its_day_and_has_no_end() -> None:
    made = rule_forms.next_version(seed_rule_sets()[0], 2, date(2026, 11, 30), "")
    assert (made.version, made.valid_from, made.valid_to) == (2, date(2026, 11, 30), None)
    assert made.source == seed_rule_sets()[0].source
    assert rule_forms.next_version(made, 3, date(2027, 1, 1), "QĐ 9").source == "QĐ 9"


@pytest.mark.parametrize(
    ("today", "monday"),
    [
        (date(2026, 11, 24), date(2026, 11, 30)),  # Tuesday
        (date(2026, 11, 29), date(2026, 11, 30)),  # Sunday
        (date(2026, 11, 30), date(2026, 12, 7)),  # a Monday that has begun is no more to come
    ],
)
def test_a_change_begins_on_the_coming_monday(today: date, monday: date) -> None:
    assert rule_forms.next_monday(today) == monday


# --- what changes ------------------------------------------------------------------------------------------------


def brief(changes: tuple[Change, ...]) -> list[tuple[str, tuple[str, ...] | None, tuple[str, ...], tuple[str, ...]]]:
    return [(each.about, each.when.fields, each.was, each.now) for each in changes]


def test_a_new_limit_is_told_as_what_it_was_and_becomes() -> None:
    draft = rule_forms.put_limit(EXAMPLE, TWO_DAYS, None, KNOWN)
    assert brief(differences(EXAMPLE, draft, KNOWN)) == [
        ("resolve", ("infra.light",), ("3d/working",), ("2d/working",))
    ]


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda d: d, []),
        (with_limit("R09", note="x"), []),
        (
            with_limit("R10", amount="10d/calendar"),
            [("resolve", None, ("5d/working",), ("10d/calendar",))],
        ),
        (
            lambda d: rule_forms.drop_rule(d, "R09"),
            [("resolve", NINTH, ("3d/working",), ("5d/working",))],
        ),
        (
            lambda d: rule_forms.put_lead(d, HELPED, None, KNOWN),
            [("lead", ("infra.light",), ("kind:local",), ("so-xd", "dien-luc"))],
        ),
        (lambda d: rule_forms.drop_rule(d, "water"), [("lead", ("infra.water",), ("cap-nuoc",), ("centre",))]),
        (lambda d: rule_forms.put_settings(d, {"day_end": "midnight"}), [("day_end", None, ("close",), ("midnight",))]),
        (
            lambda d: rule_forms.put_settings(d, {"extend": Extension(max=2)}),
            [("extend", None, ("1 × 1", "head", "province"), ("2 × 1", "head"))],
        ),
        (
            lambda d: rule_forms.put_settings(d, {"escalate": (EscalationDraft("1d/working", "unit_head"),)}),
            [
                (
                    "escalate",
                    None,
                    ("1d/working → unit_head", "3d/working → owner_dept", "5d/working → vice_chair"),
                    ("1d/working → unit_head",),
                )
            ],
        ),
        (
            lambda d: rule_forms.put_settings(d, {"extend": Extension(before_due=False, reason_required=False)}),
            [("extend", None, ("1 × 1", "head", "province"), ("1 × 1", "head", "late", "no_reason"))],
        ),
        (
            lambda d: replace(d, track_fields={**d.track_fields, "infra.light": "complaint"}),
            [("track_fields", None, (), ("infra.light → complaint",))],
        ),
        (
            lambda d: replace(d, tracks=(*d.tracks, TrackPhrases("complaint", ("khiếu",), ("khiếu hài",)))),
            [("tracks", None, (), ("khiếu → complaint", "− khiếu hài → complaint"))],
        ),
        # Two rules that speak of different fields may change places without a case noticing.
        (lambda d: rule_forms.move(d, "water", up=True), []),
        # The rule for urgent cases before the one for the field: urgent roads stay at three days, nothing is told.
        (lambda d: rule_forms.move(d, "R09-urgent", up=True), []),
    ],
    ids=[
        "nothing", "a note", "an amount", "a rule less", "a lead more", "a lead less", "day end", "extension", "ladder",
        "more lenient", "a field of a track", "wordings of a track",
        "a step that nobody feels", "a step for the urgent",
    ],
)  # fmt: skip
def test_changes_are_told_by_what_cases_get(
    edit: Fault, told: list[tuple[str, tuple[str, ...] | None, tuple[str, ...], tuple[str, ...]]]
) -> None:
    assert brief(differences(EXAMPLE, edit(EXAMPLE), KNOWN)) == told


URGENT = ("urgent",)
SLOW = with_limit("R09-urgent", amount="4d/working")


@pytest.mark.parametrize(
    ("old", "edit", "told"),
    [
        # What is urgent is mended as fast as an emergency: of two urgencies the second is another matter, too.
        (
            EXAMPLE,
            with_limit("R08", when=Condition(urgencies=("emergency", "urgent"))),
            [(Condition(urgencies=URGENT), "3d/working", "4h/calendar")],
        ),
        (
            with_limit("R08", when=Condition(urgencies=("emergency", "urgent")))(EXAMPLE),
            lambda d: EXAMPLE,
            [(Condition(urgencies=URGENT), "4h/calendar", "3d/working")],
        ),
        # A rule for every urgency is kept for normal lights: those that are urgent get what is urgent gets.
        (
            SLOW(rule_forms.put_limit(EXAMPLE, TWO_DAYS, None, KNOWN)),
            with_limit("resolve-infra-light", when=replace(LIGHTS, urgencies=("normal",))),
            [(replace(LIGHTS, urgencies=URGENT), "2d/working", "3d/working")],
        ),
        (EXAMPLE, with_limit("R09", amount="4d/working"), None),
    ],
    ids=["one more", "one less", "kept for one", "an amount"],
)
def test_each_value_a_rule_names_is_asked_about(
    old: RuleSetDraft, edit: Fault, told: list[tuple[Condition, str, str]] | None
) -> None:
    found = differences(old, edit(old), KNOWN)
    if told is None:
        assert {each.when.urgencies for each in found} == {None}
    else:
        assert [(each.when, *each.was, *each.now) for each in found] == told


def test_a_rule_that_names_too_much_is_asked_about_its_fields_alone() -> None:
    many = Condition(
        fields=("infra.*", "env.*", "order.*"), urgencies=("normal", "urgent"), channels=("web", "app", "zalo"),
        kinds=("report", "question"), areas=tuple(sorted(AREAS)[:200]),
    )  # fmt: skip
    draft = rule_forms.put_limit(EXAMPLE, LimitDraft("", "accept", "1h/working", when=many), None, KNOWN)
    (change,) = differences(EXAMPLE, draft, KNOWN)
    assert (change.was, change.now, change.when.channels) == (("8h/working",), ("1h/working",), ("web",))


def test_a_catch_all_that_comes_too_early_is_told_for_every_rule_it_hides() -> None:
    early = rule_forms.move(rule_forms.move(EXAMPLE, "R10", up=True), "R10", up=True)
    by_field, by_urgency = differences(EXAMPLE, early, KNOWN)
    assert (by_field.rule, by_field.was, by_field.now) == ("R09", ("3d/working",), ("5d/working",))
    assert "infra.*" in (by_field.when.fields or ())
    assert (by_urgency.rule, by_urgency.when) == ("R09-urgent", Condition(urgencies=("urgent",)))


def test_a_set_differs_in_nothing_from_itself_and_back_is_the_reverse() -> None:
    there, back = differences(EXAMPLE, HCMC, KNOWN), differences(HCMC, EXAMPLE, KNOWN)
    assert differences(HCMC, HCMC, KNOWN) == ()
    assert {(each.about, each.was, each.now) for each in there} == {(each.about, each.now, each.was) for each in back}


# --- the checker -------------------------------------------------------------------------------------------------


def with_lead(**condition: tuple[str, ...]) -> Fault:
    row = LeadDraft("r", "so-xd", 5, Condition(**condition))  # type: ignore[arg-type]
    return lambda draft: replace(draft, leads=(row, *draft.leads))


LATE = "progress_when_late_every"
OFF = [{"date": "2026-05-04", "label": "nghỉ"}]
FAULTS: list[tuple[Fault, str, str, str]] = [
    (with_limit("R06-complaint", amount="11d/calendar"), "over_the_law", "R06-complaint", "error"),
    (with_limit("R06-complaint", amount="8d/working"), "over_the_law", "R06-complaint", "error"),  # takes 12
    (with_limit("R23-denunciation", amount="31d/calendar"), "over_the_law", "R23-denunciation", "error"),
    (with_limit("R12", amount="16d/calendar"), "over_the_law", "R12", "error"),
    (with_limit("R13", amount="21d/calendar"), "over_the_law", "R13", "warning"),
    # Without a rule of its own the case of the track gets the general one.
    (lambda d: rule_forms.drop_rule(with_limit("R10", amount="12d/working")(d), "R12"), "over_the_law", "R10", "error"),
    (lambda d: replace(d, progress_when_late_every="8d/calendar"), "over_the_law", LATE, "warning"),
    (lambda d: rule_forms.drop_rule(d, "power"), "field_without_rule", "leads", "warning"),
    (with_lead(kinds=("petition",)), "unknown_value", "r", "error"),
    (with_lead(asset_owners=("somebody",)), "unknown_value", "r", "error"),
    (with_lead(flags=("strange",)), "unknown_value", "r", "error"),
    (lambda d: replace(d, escalate=(EscalationDraft("1d/working", "king"),)), "unknown_role", "escalate[0]", "error"),
    (lambda d: replace(d, calendar={"week": {"mon-sat": ["08:00-17:00"]}}), "calendar_unused", "calendar", "warning"),
    (lambda d: replace(d, calendar={**d.calendar, "off": OFF}), "calendar_unused", "calendar", "warning"),
    (lambda d: replace(d, calendar={**d.calendar, "tz": "Asia/Tokyo"}), "calendar_unused", "calendar", "warning"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("fault", "code", "where", "severity"), FAULTS, ids=[f"{n}-{f[1]}" for n, f in enumerate(FAULTS)]
)
def test_each_planted_fault_is_named_in_both_languages(fault: Fault, code: str, where: str, severity: str) -> None:
    assert code not in {each.code for each in check(EXAMPLE, DIRECTORY, FIELDS, province_calendar())}
    found = check(fault(EXAMPLE), DIRECTORY, FIELDS, province_calendar())
    problem = next(each for each in found if (each.code, each.where) == (code, where))
    assert problem.severity == severity
    assert problem.message_vi
    assert problem.message_en
    assert problem.message_vi != problem.message_en


@pytest.mark.parametrize(
    "harmless",
    [
        with_limit("R06-complaint", amount="10d/calendar"),
        with_limit("R06-complaint", amount="5d/working"),
        with_limit("R12", amount="10d/working"),
        with_limit("R10", amount="30d/working"),  # ordinary cases are not the law's matter
        with_lead(asset_owners=("national_road",)),
        with_lead(flags=(SEVERAL_UNITS,)),
        lambda d: replace(d, leads=(d.leads[-1],)),  # no field is told from another
        lambda d: replace(d, calendar={**d.calendar, "overrides": "none"}),
    ],
    ids=[
        "as long as the law",
        "a week",
        "two weeks",
        "an ordinary case",
        "an owner",
        "a flag",
        "no fields",
        "overrides",
    ],
)
def test_what_is_allowed_is_not_told(harmless: Fault) -> None:
    new = {"over_the_law", "field_without_rule", "unknown_value", "unknown_role", "calendar_unused"}
    assert not new & {each.code for each in check(harmless(EXAMPLE), DIRECTORY, FIELDS, province_calendar())}


def test_the_law_names_its_sources() -> None:
    assert all(each.source and ((each.stage and each.track) or each.setting) for each in law())
    assert law()[0].most == Amount(10, "d", "calendar")


def test_every_value_has_a_name_in_both_languages() -> None:
    for names in (ASSET_OWNERS, FLAGS, ROLES):
        assert all(vi and en for vi, en in names.values())


# --- Hồ Chí Minh City --------------------------------------------------------------------------------------------


def test_the_set_of_ho_chi_minh_city_passes_with_this_provinces_departments() -> None:
    found = {(each.severity, each.code) for each in check(HCMC, DIRECTORY, FIELDS, province_calendar())}
    assert found == {("warning", "give_back_equals_accept")}
    assert "không phải quy chế của tỉnh" in HCMC.note


@pytest.mark.parametrize(
    ("clear", "flags", "stage", "amount"),
    [
        (True, (), "forward", "5min/calendar"),
        (False, (), "forward", "1h/calendar"),
        (True, (), "resolve", "10d/calendar"),
        (True, (SEVERAL_UNITS,), "resolve", "15d/calendar"),
    ],
)
def test_the_set_of_ho_chi_minh_city_says_what_its_source_says(
    clear: bool, flags: tuple[str, ...], stage: str, amount: str
) -> None:
    case = rule_forms.witness(Condition(fields=("infra.road",), competence_clear=clear, flags=flags), FIELDS)
    limit = decide(case, build(HCMC, DIRECTORY, FIELDS)).limit(stage)
    assert limit is not None
    assert str(limit.amount) == amount
    assert HCMC.directive_review_within == "1d/working"
