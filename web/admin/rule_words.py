"""What the codes of rules are called on pages, and their changes told in sentences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from routing.decide import CHANNELS, KINDS, MODES, URGENCIES, Condition
from routing.editing.rule_sets import Asked
from routing.queries import PROVINCE, Routing
from routing.rule_differences import Change
from routing.rule_drafts import CONDITION_LISTS
from routing.rule_known import ASSET_OWNERS, FLAGS, ROAD_CLASSES, ROLES
from routing.seeds import seed_kind_names
from routing.tracks import TRACKS
from routing.working_time import Amount, BadAmount
from web.console.showing import amount_words
from web.names import NAMES, Lang
from web.times import weekday

GROUPS = {"urgencies": "urgency", "kinds": "kind", "tracks": "track", "channels": "channel", "modes": "mode"}
KNOWN = {"asset_owners": ASSET_OWNERS, "road_classes": ROAD_CLASSES, "flags": FLAGS, "roles": ROLES}
CHOSEN: Mapping[str, Sequence[str]] = {
    "urgencies": URGENCIES,
    "kinds": KINDS,
    "tracks": TRACKS,
    "channels": CHANNELS,
    "modes": MODES,
    "asset_owners": tuple(ASSET_OWNERS),
    "road_classes": tuple(ROAD_CLASSES),
    "flags": tuple(FLAGS),
}
"""What a row's form offers to tick."""
SETTINGS = {
    "remind": ("Nhắc việc ở", "Reminders at"),
    "escalate": ("Báo cấp trên khi trễ", "Told upwards when late"),
    "extend": ("Gia hạn", "Extensions"),
    "stop_while_waiting": ("Dừng đồng hồ khi chờ người dân", "Stopped while the citizen is asked"),
    "day_end": ("Hạn tính theo ngày kết thúc lúc", "Limits in days end at"),
    "approve_by": ("Ai duyệt câu trả lời", "Who approves answers"),
    "give_backs_before_supervisor": (
        "Trả lại lần thứ mấy thì trưởng ca quyết định",
        "Give-backs until a supervisor decides",
    ),
    "close_after": ("Tự đóng sau khi trả lời", "Closed by itself after the answer"),
    "reopen_within": ("Người dân mở lại trong", "Citizens may reopen within"),
    "progress_when_late_every": ("Trễ hạn thì báo tiến độ mỗi", "Progress told, when late, every"),
    "directive_review_within": ("Xem lại việc lãnh đạo đã chỉ đạo trong", "Leadership's orders reviewed within"),
    "tracks": ("Lời lẽ gợi ý loại vụ việc", "Wordings that suggest a track"),
    "track_fields": ("Lĩnh vực gợi ý loại vụ việc", "Fields that suggest a track"),
    "track_channels": ("Kênh gợi ý loại vụ việc", "Channels that suggest a track"),
}
CHOICES = {
    "close": ("hết giờ làm việc", "the close of business"),
    "midnight": ("nửa đêm", "midnight"),
    "head": ("thủ trưởng đơn vị", "the head of the unit"),
    "centre": ("trung tâm 1022", "the 1022 centre"),
    "province": ("thêm một lần do lãnh đạo tỉnh", "once more by the province's leadership"),
    "late": ("cả khi đã quá hạn", "late ones too"),
    "no_reason": ("không cần lý do", "without a reason"),
}


@dataclass(frozen=True, slots=True)
class Told:
    """A change in words: of which cases or setting, and what it was and becomes."""

    kind: str  # lead | limit | setting
    about: str  # the stage; empty for others
    subject: str
    was: str
    now: str
    rule: str


@dataclass(frozen=True, slots=True)
class Words:
    """What the codes of rules are called."""

    routing: Routing
    lang: Lang

    @property
    def _second(self) -> bool:
        return self.lang == "en"

    def value(self, about: str, code: str, *, short: bool = False) -> str:
        """One value of a condition in words; the code itself where it has no name."""
        if group := GROUPS.get(about):
            pair = NAMES[group].get(code)
            return pair[self._second] if pair else code
        if about in KNOWN:
            pair = KNOWN[about].get(code)
            return pair[self._second] if pair else code
        if about == "fields":
            row = self.routing.field_rows.get(code.removesuffix(".*"))
            if row is None or not short:
                return f"{row.name} ({code})" if row else code
            whole = (" (cả nhóm)", " (whole group)")[self._second] if code.endswith(".*") else ""
            return row.name + whole
        if about == "areas":
            place = self.routing.area(code)
            return f"{place.name} ({place.type})" if place else code
        if about == "competence_clear":
            return (("không", "no"), ("có", "yes"))[code == "true"][self._second]
        return code

    def values(self, asked: Asked) -> str:
        """All values of a condition."""
        return ", ".join(self.value(asked.about, code) for code in asked.values)

    def amount(self, written: str) -> str:
        """8 giờ làm việc; as it is written where it cannot be read."""
        try:
            amount = Amount.parse(written)
        except BadAmount:
            return written
        return amount_words(amount.value, amount.unit, amount.clock, self.lang)

    def unit(self, written: str) -> str:
        """The department that a rule writes as its code or `kind:…`."""
        known = self.routing.departments.get(written)
        if known is not None:
            return known.name
        if written == "centre":
            return CHOICES["centre"][self._second]
        return seed_kind_names().get(written.removeprefix("kind:"), written)

    def cases(self, when: Condition) -> str:
        """Which cases a condition takes: the fields first, then what else it asks."""
        parts = [", ".join(self.value("fields", code, short=True) for code in when.fields or ())] if when.fields else []
        rest = replace(when, fields=None)
        for key in CONDITION_LISTS:
            if values := getattr(rest, key):
                told = ", ".join(self.value(key, code, short=True) for code in values)
                parts.append(f"{NAMES['asked'][key][self._second]} {told}")
        if when.competence_clear is not None:
            told = self.value("competence_clear", "true" if when.competence_clear else "false")
            parts.append(f"{NAMES['asked']['competence_clear'][self._second]}: {told}")
        return "; ".join(parts) or ("Mọi trường hợp", "Every case")[self._second]

    def change(self, change: Change) -> Told:
        """One change as a sentence in three parts."""
        nothing = ("không có", "none")[self._second]
        if change.kind == "limit":
            subject, was, now = self.cases(change.when), self._amounts(change.was), self._amounts(change.now)
        elif change.kind == "lead":
            subject, was, now = self.cases(change.when), self._leads(change.was), self._leads(change.now)
        else:
            subject = SETTINGS[change.about][self._second]
            was, now = (", ".join(self._part(change.about, each) for each in side) for side in (change.was, change.now))
        about = NAMES["stage"][change.about][self._second] if change.kind == "limit" else ""
        return Told(change.kind, about, subject, was or nothing, now or nothing, change.rule)

    def _part(self, about: str, value: str) -> str:
        """A part of a setting's value, as `rule_differences` writes it."""
        before, arrow, after = value.rpartition(" → ")
        if about == "escalate":
            return f"{self.amount(before)}: {self.value('roles', after)}"
        if about == "tracks":
            unless, phrase = (
                (("trừ ", "unless ")[self._second], before[2:]) if before.startswith("− ") else ("", before)
            )
            return f"{unless}“{phrase}”: {self.value('tracks', after)}"
        if arrow:
            return f"{self.value(about.removeprefix('track_'), before, short=True)}: {self.value('tracks', after)}"
        times, cross, share = value.partition(" × ")
        if cross:
            vi, en = "lần, mỗi lần nhiều nhất %g%% hạn gốc", "times, each by at most %g%% of the limit"
            return f"{times} {(vi, en)[self._second] % (float(share) * 100)}"
        for names in (CHOICES, NAMES["stage"]):
            if value in names:
                return names[value][self._second]
        return self.amount(value)

    def _amounts(self, written: Sequence[str]) -> str:
        return ", ".join(self.amount(each) for each in written)

    def _leads(self, written: Sequence[str]) -> str:
        if not written:
            return ""
        lead, *helpers = (self.unit(each) for each in written)
        return f"{lead}; {('phối hợp', 'with')[self._second]} {', '.join(helpers)}" if helpers else lead

    def day(self, moment: datetime | date) -> str:
        """Thứ Hai 30/11/2026, in the province's zone."""
        zone = self.routing.calendars[PROVINCE].zone
        told = weekday(moment, zone, self.lang).replace(",", "")
        return told if self._second else told[0].lower() + told[1:]

    def roles(self) -> list[tuple[str, str]]:
        """Whom a late case may be told to."""
        return [(code, pair[self._second]) for code, pair in ROLES.items()]

    def options(self, on: date) -> dict[str, list[tuple[str, str]]]:
        """What a row's form offers: fields and areas as on a day, everything else that rules know."""
        rows = [row for row in self.routing.field_rows.values() if row.valid_to is None or row.valid_to > on]
        groups = sorted((row for row in rows if row.parent is None), key=lambda row: row.name)
        whole = ("cả nhóm", "whole group")[self._second]
        fields = []
        for group in groups:
            fields.append((f"{group.code}.*", f"{group.name} ({whole})"))
            inside = sorted((row for row in rows if row.parent == group.code), key=lambda row: row.name)
            fields += [(row.code, f"{group.name}: {row.name}") for row in inside]
        places = (place for place in map(self.routing.places.get, self.routing.directory.areas) if place)
        living = sorted((f"{place.name} ({place.type})", place.code) for place in places if place.valid(on))
        units = sorted((unit.name, unit.code) for unit in self.routing.directory.departments.values() if unit.lives(on))
        place_kinds = [(f"kind:{code}", self.unit(f"kind:{code}")) for code in ("local", "ubnd_xa")]
        there = ("của nơi có phản ánh", "of the place of the report")[self._second]
        leads = [("centre", self.unit("centre")), *((code, f"{name} {there}") for code, name in place_kinds)]
        return {
            "fields": fields,
            "areas": [(code, name) for name, code in living],
            "leads": [*leads, *((code, name) for name, code in units)],
            **{key: [(code, self.value(key, code)) for code in known] for key, known in CHOSEN.items()},
        }
