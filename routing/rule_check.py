"""What is wrong with a rule set, before it may hold: said to the person who wrote it, rule by rule.

Pure. A rule set without an error among its problems can be built and decides every case.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from itertools import pairwise, product
from typing import Literal

from routing.calendars import BadCalendar, parse_calendar
from routing.decide import (
    CHANNELS,
    KINDS,
    MODES,
    STAGES,
    URGENCIES,
    CaseField,
    Condition,
    Facts,
    group_pattern,
    in_patterns,
)
from routing.directory import Directory, Selector
from routing.rule_drafts import COMMUNE_TYPES, CONDITION_LISTS, LeadDraft, LimitDraft, RuleSetDraft, read_share
from routing.rule_known import ASSET_OWNERS, FLAGS, ROAD_CLASSES
from routing.rule_law import over_the_law
from routing.rule_problems import Problem
from routing.rule_reach import fields_without_rule, unknown_roles, unused_calendar
from routing.tracks import TRACKS
from routing.working_time import Amount, BadAmount, Calendar

__all__ = ["Problem", "check", "check_timeline"]

_DIMENSION_OF = {"channels": CHANNELS, "urgencies": URGENCIES, "tracks": TRACKS, "modes": MODES}
_KNOWN = {
    **_DIMENSION_OF,
    "kinds": KINDS,
    "asset_owners": tuple(ASSET_OWNERS),
    "road_classes": tuple(ROAD_CLASSES),
    "flags": tuple(FLAGS),
}
_WINDOWS = ("close_after", "reopen_within", "progress_when_late_every", "directive_review_within")


def check(
    draft: RuleSetDraft, directory: Directory, fields: Mapping[str, CaseField], calendar: Calendar | None = None
) -> list[Problem]:
    """Everything wrong with a rule set, errors first; with no error among them it can be built and always decides.

    With the province's `calendar` it also says when the one written in the text is another, which has no effect.
    """
    problems = list(_Checker(draft, directory, fields).problems())
    problems += [*over_the_law(draft), *fields_without_rule(draft, fields), *unknown_roles(draft)]
    if calendar is not None:
        problems += unused_calendar(draft, calendar)
    return sorted(problems, key=lambda problem: problem.severity != "error")


def check_timeline(drafts: Sequence[RuleSetDraft]) -> list[Problem]:
    """Gaps and overlaps between rule sets meant to follow each other."""
    problems = []
    ordered = sorted(drafts, key=lambda draft: draft.valid_from)
    for earlier, later in pairwise(ordered):
        where = f"{earlier.code}, {later.code}"
        if earlier.valid_to is None or later.valid_from < earlier.valid_to:
            vi = f"Bộ quy tắc {earlier.code} và {later.code} cùng có hiệu lực từ {later.valid_from}."
            en = f"The rule sets {earlier.code} and {later.code} both hold from {later.valid_from}."
            problems.append(Problem("overlapping_validity", where, vi, en))
        elif earlier.valid_to < later.valid_from:
            vi = f"Từ {earlier.valid_to} đến trước {later.valid_from} không có bộ quy tắc nào có hiệu lực."
            en = f"From {earlier.valid_to} until {later.valid_from} no rule set holds."
            problems.append(Problem("validity_gap", where, vi, en))
    return problems


class _Checker:
    def __init__(self, draft: RuleSetDraft, directory: Directory, fields: Mapping[str, CaseField]) -> None:
        self.draft, self.directory, self.fields = draft, directory, fields
        self.groups = {group_pattern(code) for code in fields}
        self.days = directory.turning_days(draft.valid_from, draft.valid_to)
        self.amounts = {rule.code: self._amount(rule.amount) for rule in draft.limits}

    def problems(self) -> Iterator[Problem]:
        yield from self._head()
        yield from self._calendar()
        yield from self._conditions()
        yield from self._handlers()
        yield from self._catch_all()
        yield from self._shadowed()
        yield from self._limit_amounts()
        yield from self._missing_limits()
        yield from self._order_of_limits()
        yield from self._settings()
        yield from self._tracks()

    def _head(self) -> Iterator[Problem]:
        draft = self.draft
        if draft.version < 1:
            vi = "Số phiên bản phải từ 1 trở lên."
            en = "The version must be 1 or more."
            yield Problem("bad_version", "ruleset.version", vi, en)
        if draft.valid_to is not None and draft.valid_to <= draft.valid_from:
            vi = f"Ngày hết hiệu lực {draft.valid_to} phải sau ngày có hiệu lực {draft.valid_from}."
            en = f"The last day {draft.valid_to} must be later than the first day {draft.valid_from}."
            yield Problem("bad_validity", "ruleset.valid_to", vi, en)
        try:
            centre = self.directory.centre
        except LookupError:
            vi = "Danh mục đơn vị không có trung tâm (loại centre)."
            en = "There is no centre among the departments (kind centre)."
            yield Problem("no_centre", "departments", vi, en)
        else:
            if any(self.directory.living(centre, day) is None for day in self.days):
                vi = f"Trung tâm {centre} không tồn tại suốt thời gian hiệu lực."
                en = f"The centre {centre} does not live through all the time the set holds."
                yield Problem("no_centre", "departments", vi, en)
        seen: set[str] = set()
        for code in (*(rule.code for rule in draft.leads), *(rule.code for rule in draft.limits)):
            if code in seen:
                vi = f"Mã quy tắc {code} được dùng hai lần."
                en = f"The rule code {code} is used twice."
                yield Problem("duplicate_code", code, vi, en)
            seen.add(code)

    def _calendar(self) -> Iterator[Problem]:
        try:
            parse_calendar(self.draft.calendar, code=self.draft.code)
        except BadCalendar as error:
            for problem in error.problems:
                where, _, what = problem.partition(": ")
                vi = f"Lịch làm việc, mục {where}: {_calendar_vi(what)}"
                en = f"Calendar, member {where}: {what}."
                yield Problem("bad_calendar", f"calendar.{where}", vi, en)

    def _conditions(self) -> Iterator[Problem]:
        for where, when in self._all_conditions():
            for key in CONDITION_LISTS:
                if getattr(when, key) == ():
                    vi = f"Quy tắc {where}: điều kiện {key} để trống thì không bao giờ khớp; hãy bỏ hẳn mục này."
                    en = f"Rule {where}: an empty condition {key} never matches; leave the member out."
                    yield Problem("empty_condition", where, vi, en)
            for name in when.fields or ():
                yield from self._field(where, name)
            for area in when.areas or ():
                if area not in self.directory.areas:
                    vi = f"Quy tắc {where}: không có địa bàn {area}."
                    en = f"Rule {where}: there is no area {area}."
                    yield Problem("unknown_area", where, vi, en)
            for key, known in _KNOWN.items():
                for value in getattr(when, key) or ():
                    if value not in known:
                        vi = f"Quy tắc {where}: {key} có giá trị lạ {value}; chỉ dùng {', '.join(known)}."
                        en = f"Rule {where}: {key} has an unknown value {value}; known are {', '.join(known)}."
                        yield Problem("unknown_value", where, vi, en)
        for rule in self.draft.limits:
            if rule.stage not in STAGES:
                vi = f"Quy tắc {rule.code}: không có bước {rule.stage}; các bước là {', '.join(STAGES)}."
                en = f"Rule {rule.code}: there is no stage {rule.stage}; the stages are {', '.join(STAGES)}."
                yield Problem("unknown_stage", rule.code, vi, en)

    def _all_conditions(self) -> Iterator[tuple[str, Condition]]:
        yield from ((rule.code, rule.when) for rule in self.draft.leads)
        yield from ((rule.code, rule.when) for rule in self.draft.limits)

    def _field(self, where: str, name: str) -> Iterator[Problem]:
        if name in self.groups:
            return
        known = self.fields.get(name)
        if known is None:
            vi = f"Quy tắc {where}: không có lĩnh vực {name}."
            en = f"Rule {where}: there is no field {name}."
            yield Problem("unknown_field", where, vi, en)
        elif known.valid_to is not None and known.valid_to <= self.draft.valid_from:
            vi = f"Quy tắc {where}: lĩnh vực {name} đã thôi dùng từ {known.valid_to}."
            en = f"Rule {where}: the field {name} is closed since {known.valid_to}."
            yield Problem("ended_field", where, vi, en, "warning")

    def _handlers(self) -> Iterator[Problem]:
        for rule in self.draft.leads:
            for written in (rule.lead, *rule.supporting):
                severity: Literal["error", "warning"] = "error" if written == rule.lead else "warning"
                selector = _selector(written)
                if selector is None:
                    vi = f"Quy tắc {rule.code}: không hiểu đơn vị “{written}”; viết mã đơn vị hoặc kind:LOẠI."
                    en = f"Rule {rule.code}: the department “{written}” cannot be read; write its code or kind:KIND."
                    yield Problem("bad_selector", rule.code, vi, en)
                elif selector.how == "code" and selector.value not in self.directory.departments:
                    vi = f"Quy tắc {rule.code}: không có đơn vị {written}."
                    en = f"Rule {rule.code}: there is no department {written}."
                    yield Problem("unknown_department", rule.code, vi, en)
                elif selector.how == "kind" and not self.directory.knows_kind(selector.value):
                    vi = f"Quy tắc {rule.code}: không có loại đơn vị {selector.value}."
                    en = f"Rule {rule.code}: there is no kind of department {selector.value}."
                    yield Problem("unknown_department", rule.code, vi, en)
                elif selector.how == "code":
                    yield from self._dead(rule.code, selector, severity)
                else:
                    yield from self._places_without(rule, selector, severity)

    def _dead(self, where: str, selector: Selector, severity: Literal["error", "warning"]) -> Iterator[Problem]:
        for day in self.days:
            if not self.directory.heirs(selector.value, day):
                vi = (
                    f"Quy tắc {where}: đơn vị {selector.value} không tồn tại và không có đơn vị kế thừa vào ngày {day}."
                )
                en = f"Rule {where}: on {day} the department {selector.value} does not exist and has no heir."
                yield Problem("dead_department", where, vi, en, severity)
                return

    def _places_without(
        self, rule: LeadDraft, selector: Selector, severity: Literal["error", "warning"]
    ) -> Iterator[Problem]:
        for day in self.days:
            places = [code for code in self._communes(day) if self._asked(rule.when, code, day)]
            if not places:
                continue
            without = [code for code in places if self.directory.resolve(selector, code, None, day) is None]
            if without:
                some = ", ".join(without[:3]) + (" …" if len(without) > 3 else "")
                vi = (
                    f"Quy tắc {rule.code}: ngày {day}, {len(without)} trên {len(places)} địa bàn không có đơn vị "
                    f"loại {selector.value}: {some}."
                )
                en = (
                    f"Rule {rule.code}: on {day}, {len(without)} of {len(places)} areas have no department of the "
                    f"kind {selector.value}: {some}."
                )
                everywhere = len(without) == len(places)
                yield Problem("dead_department", rule.code, vi, en, severity if everywhere else "warning")
                return

    def _communes(self, day: date) -> Iterator[str]:
        for area in self.directory.areas.values():
            if area.type in COMMUNE_TYPES and self.directory.unit(area.code, day) == area.code:
                yield area.code

    def _asked(self, when: Condition, area: str, day: date) -> bool:
        return when.areas is None or not self.directory.lineage(area, day).isdisjoint(when.areas)

    def _always_found(self, written: str) -> bool:
        selector = _selector(written)
        if selector is None:
            return False
        return all(self.directory.resolve(selector, None, None, day) is not None for day in self.days)

    def _catch_all(self) -> Iterator[Problem]:
        if not any(rule.when == Condition() and self._always_found(rule.lead) for rule in self.draft.leads):
            vi = "Thiếu quy tắc bao trùm: cần một quy tắc đơn vị chủ trì không có điều kiện, giao cho centre."
            en = "There is no catch-all: one rule for the lead must have no condition and name the centre."
            yield Problem("no_catch_all", "leads", vi, en)

    def _shadowed(self) -> Iterator[Problem]:
        leads = sorted(self.draft.leads, key=lambda rule: rule.rank)
        hiding = {rule.code for rule in leads if self._always_found(rule.lead)}
        yield from self._hidden([(rule.code, rule.when) for rule in leads], hiding)
        for stage in STAGES:
            limits = sorted((rule for rule in self.draft.limits if rule.stage == stage), key=lambda rule: rule.rank)
            yield from self._hidden([(rule.code, rule.when) for rule in limits], {rule.code for rule in limits})

    def _hidden(self, rules: Sequence[tuple[str, Condition]], hiding: set[str]) -> Iterator[Problem]:
        """Rules of which every case is caught by earlier ones. An earlier one that may find nobody hides nothing."""
        for index, (code, when) in enumerate(rules):
            earlier = [rule for rule in rules[:index] if rule[0] in hiding and self._wider(rule[1], when)]
            if not earlier:
                continue
            hiders: dict[str, None] = {}
            for classes in self._classes(when):
                hider = next((name for name, other in earlier if other.fits_class(*classes)), None)
                if hider is None:
                    break
                hiders[hider] = None
            else:
                earlier_ones = ", ".join(hiders)
                vi = f"Quy tắc {code} không bao giờ được dùng vì {earlier_ones} đứng trước bắt hết."
                en = f"Rule {code} is never used, since {earlier_ones} before it take every case."
                yield Problem("shadowed", code, vi, en)

    def _classes(self, when: Condition) -> Iterator[tuple[str | None, str, str, str]]:
        """Every class of cases that a condition admits. Rarest first: a field not in any list ends most searches."""
        names: list[str | None] = []
        if when.fields is None:
            names = [None, *sorted(self.groups), *self.fields]
        for pattern in when.fields or ():
            names.append(pattern)
            if pattern.endswith(".*"):
                names += [code for code in self.fields if in_patterns(code, (pattern,))]
        return product(names, when.urgencies or URGENCIES, when.tracks or TRACKS, when.modes or MODES)

    def _wider(self, wide: Condition, narrow: Condition) -> bool:
        """Whether `wide` asks no more than `narrow` of the facts that are not enumerated by `_classes`."""
        for key in ("kinds", "channels", "asset_owners", "road_classes"):
            outer, inner = getattr(wide, key), getattr(narrow, key)
            if outer is not None and (inner is None or not set(inner) <= set(outer)):
                return False
        if wide.areas is not None and narrow.areas is None:
            return False
        if wide.areas is not None and not all(
            self._asked(wide, area, day) for area in narrow.areas or () for day in self.days
        ):
            return False
        if wide.competence_clear is not None and wide.competence_clear != narrow.competence_clear:
            return False
        return set(wide.flags or ()) <= set(narrow.flags or ())

    def _limit_amounts(self) -> Iterator[Problem]:
        for rule in self.draft.limits:
            yield from _amount_problems(
                rule.code, f"Quy tắc {rule.code}: thời hạn", f"Rule {rule.code}: the limit", rule.amount
            )
        for index, step in enumerate(self.draft.escalate):
            vi, en = f"Bậc báo cáo {index + 1}: thời gian", f"Step {index + 1} of the ladder: the time"
            yield from _amount_problems(f"escalate[{index}]", vi, en, step.after)
        for key in _WINDOWS:
            yield from _amount_problems(
                key, f"Mục {key}: thời gian", f"Member {key}: the time", getattr(self.draft, key)
            )

    def _missing_limits(self) -> Iterator[Problem]:
        supported = any(rule.supporting for rule in self.draft.leads)
        for stage in STAGES:
            if stage == "contribute" and not supported:
                continue
            # What is published is for the rule set to say; every other step needs an end.
            if stage == "publish":
                continue
            cases = product(URGENCIES, TRACKS, MODES)
            missing = ["/".join(case) for case in cases if not self._always_limited(stage, *case)]
            if missing:
                some = ", ".join(missing[:4]) + (" …" if len(missing) > 4 else "")
                vi = f"Bước {stage} thiếu thời hạn cho {len(missing)} trường hợp (mức/luồng/chế độ): {some}."
                en = f"The stage {stage} has no limit in {len(missing)} situations (urgency/track/mode): {some}."
                yield Problem("missing_limit", f"limits.{stage}", vi, en)

    def _always_limited(self, stage: str, urgency: str, track: str, mode: str) -> bool:
        """Whether some rule asks nothing but these three facts, so that it holds for every case of the class."""
        return any(
            rule.when.fits_class(None, urgency, track, mode)
            and replace(rule.when, urgencies=None, tracks=None, modes=None) == Condition()
            for rule in self._by_rank(stage)
        )

    def _by_rank(self, stage: str) -> list[LimitDraft]:
        return sorted((rule for rule in self.draft.limits if rule.stage == stage), key=lambda rule: rule.rank)

    def _order_of_limits(self) -> Iterator[Problem]:
        """For every kind of case that a rule speaks of: accept within resolve, give back within accept."""
        reported: set[tuple[str, str]] = set()
        for facts, lineage in self._witnesses():
            found = {stage: self._first(stage, facts, lineage) for stage in ("accept", "give_back", "resolve")}
            for shorter, longer in (("accept", "resolve"), ("give_back", "accept")):
                short, long = found[shorter], found[longer]
                if short is None or long is None or (short.code, long.code) in reported:
                    continue
                a, b = self.amounts[short.code], self.amounts[long.code]
                if a is None or b is None or a < b or (a == b and shorter == "accept"):
                    continue
                reported.add((short.code, long.code))
                where = f"{short.code}, {long.code}"
                if a == b:
                    vi = f"Hạn trả lại ({short.code}) bằng hạn tiếp nhận ({long.code}); nên ngắn hơn."
                    en = f"Giving back ({short.code}) may take as long as accepting ({long.code}); it should be less."
                    yield Problem("give_back_equals_accept", where, vi, en, "warning")
                else:
                    vi = (
                        f"Bước {shorter} ({short.code}: {short.amount}) dài hơn bước {longer} "
                        f"({long.code}: {long.amount}) với mức {facts.urgency}, luồng {facts.track}."
                    )
                    en = (
                        f"The stage {shorter} ({short.code}: {short.amount}) takes longer than {longer} "
                        f"({long.code}: {long.amount}) where urgency is {facts.urgency} and track {facts.track}."
                    )
                    yield Problem(f"{shorter}_after_{longer}", where, vi, en)

    def _first(self, stage: str, facts: Facts, lineage: frozenset[str]) -> LimitDraft | None:
        return next((rule for rule in self._by_rank(stage) if not rule.when.misses(facts, lineage)), None)

    def _witnesses(self) -> Iterator[tuple[Facts, frozenset[str]]]:
        at = datetime.fromisoformat(f"{self.draft.valid_from}T12:00:00+00:00")
        spoken = [rule.when for rule in self.draft.limits if rule.stage in ("accept", "give_back", "resolve")]
        for when in (Condition(), *spoken):
            urgencies, tracks, modes = (
                [value for value in getattr(when, key) or known if value in known]
                for key, known in _DIMENSION_OF.items()
                if key != "channels"
            )
            field = next(iter(when.fields or ()), None)
            for urgency, track, mode in product(urgencies, tracks, modes):
                area = next(iter(when.areas or ()), None)
                facts = Facts(
                    received_at=at,
                    field=field.replace(".*", ".") if field else None,
                    urgency=urgency,
                    kind=next(iter(when.kinds or ()), ""),
                    track=track,
                    area=area,
                    channel=next(iter(when.channels or ()), ""),
                    mode=mode,
                    competence_clear=when.competence_clear,
                    asset_owner=next(iter(when.asset_owners or ()), None),
                    flags=frozenset(when.flags or ()),
                    road_class=next(iter(when.road_classes or ()), None),
                )
                yield facts, self.directory.lineage(area, self.draft.valid_from)

    def _amount(self, text: str) -> int | None:
        """A limit in minutes of elapsed time at the least, a working day as a day: enough to compare two limits."""
        try:
            amount = Amount.parse(text)
        except BadAmount:
            return None
        minutes = amount.value * {"min": 1, "h": 60, "d": 1440}[amount.unit]
        if amount.clock == "calendar" or amount.unit == "d":
            return minutes
        days, rest = divmod(minutes, self._working_day())
        return days * 1440 + rest

    def _working_day(self) -> int:
        try:
            windows = parse_calendar(self.draft.calendar).usual_day
        except BadCalendar:
            return 480
        return sum(span.end_minute - span.start_minute for span in windows) or 480

    def _settings(self) -> Iterator[Problem]:
        draft = self.draft
        shares = []
        for text in draft.remind:
            try:
                shares.append(read_share(text))
            except ValueError:
                vi = f"Mốc nhắc “{text}” phải là tỷ lệ trên 0% và không quá 100%, ví dụ 80%."
                en = f"The reminder “{text}” must be a share above 0% and at most 100%, such as 80%."
                yield Problem("bad_percentage", "remind", vi, en)
        if shares != sorted(set(shares)):
            vi = "Các mốc nhắc phải tăng dần và không lặp lại."
            en = "Reminders must grow from one to the next."
            yield Problem("bad_percentage", "remind", vi, en)
        steps = [self._amount(step.after) for step in draft.escalate]
        known = [step for step in steps if step is not None]
        if known != sorted(set(known)):
            vi = "Các bậc báo cáo phải có thời gian tăng dần."
            en = "The times of the ladder must grow from step to step."
            yield Problem("bad_ladder", "escalate", vi, en)
        if draft.extend.max < 0:
            vi = "Số lần gia hạn không được âm."
            en = "The number of extensions cannot be negative."
            yield Problem("bad_extension", "extend.max", vi, en)
        if draft.extend.max and draft.extend.max_ratio <= 0:
            vi = "Tỷ lệ gia hạn phải lớn hơn 0 khi cho phép gia hạn."
            en = "Where extensions are allowed, their ratio must be more than 0."
            yield Problem("bad_extension", "extend.max_ratio", vi, en)
        choices = (
            ("day_end", draft.day_end, ("close", "midnight")),
            ("approve_by", draft.approve_by, ("head", "centre")),
            ("extend.granted_by", draft.extend.granted_by, ("head", "centre")),
            ("extend.beyond_by", draft.extend.beyond_by, ("nobody", "province")),
            *(("stop_while_waiting", stage, STAGES) for stage in draft.stop_while_waiting),
        )
        for where, value, allowed in choices:
            if value not in allowed:
                vi = f"Mục {where}: “{value}” không hợp lệ; chỉ dùng {', '.join(allowed)}."
                en = f"Member {where}: “{value}” is not known; use {', '.join(allowed)}."
                yield Problem("unknown_value", where, vi, en)
        if draft.give_backs_before_supervisor < 1:
            where = "give_backs_before_supervisor"
            yield Problem(
                "bad_number", where, f"Mục {where}: phải từ 1 trở lên.", f"Member {where}: it must be 1 or more."
            )

    def _tracks(self) -> Iterator[Problem]:
        draft = self.draft
        named = [(f"tracks.texts[{texts.track}]", texts.track) for texts in draft.tracks]
        named += [(f"tracks.fields.{name}", track) for name, track in draft.track_fields.items()]
        named += [(f"tracks.channels.{name}", track) for name, track in draft.track_channels.items()]
        for where, track in named:
            if track not in TRACKS:
                vi = f"Mục {where}: không có luồng {track}; các luồng là {', '.join(TRACKS)}."
                en = f"Member {where}: there is no track {track}; the tracks are {', '.join(TRACKS)}."
                yield Problem("unknown_value", where, vi, en)
        for texts in draft.tracks:
            if texts.track == "ordinary" or not texts.phrases:
                vi = "Mục tracks.texts: mỗi mục cần một luồng khác ordinary và ít nhất một cụm từ."
                en = "Member tracks.texts: each needs a track other than ordinary and at least one phrase."
                yield Problem("bad_track", f"tracks.texts[{texts.track}]", vi, en)
        for name in draft.track_fields:
            yield from self._field(f"tracks.fields.{name}", name)


def _selector(written: str) -> Selector | None:
    try:
        return Selector.parse(written)
    except ValueError:
        return None


def _amount_problems(where: str, what_vi: str, what_en: str, text: str) -> Iterator[Problem]:
    try:
        amount = Amount.parse(text)
    except BadAmount:
        vi = f"{what_vi} “{text}” không đọc được; viết như 8h/working hoặc 15d/calendar."
        en = f"{what_en} “{text}” cannot be read; write it like 8h/working or 15d/calendar."
        yield Problem("bad_amount", where, vi, en)
    else:
        if amount.value <= 0:
            vi, en = f"{what_vi} “{text}” phải lớn hơn 0.", f"{what_en} “{text}” must be more than 0."
            yield Problem("bad_amount", where, vi, en)


def _calendar_vi(problem: str) -> str:
    """The findings of the calendar reader that people make most, in Vietnamese; the rest as it says them."""
    if "no working time" in problem:
        return "không có ngày làm việc nào."
    if "overlaps" in problem:
        return f"hai khung giờ chồng nhau ({problem})."
    if "given twice" in problem or "listed twice" in problem:
        return f"một ngày được khai hai lần ({problem})."
    return f"{problem}."
