"""How rules are written down: a rule set as YAML, read into plain values and written back.

`parse_rule_set` refuses what cannot be read; what can be read but makes no sense is left to `rule_check.check`, and
`rule_building.build` makes the `Rulebook` that `decide` uses. Pure but for reading the files it is given.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import yaml

from routing.decide import Condition, Extension
from routing.rule_drafts import CONDITION_LISTS, EscalationDraft, LeadDraft, LimitDraft, Provision, RuleSetDraft
from routing.tracks import TrackPhrases


class BadRuleSet(ValueError):
    """A document that cannot be read as rules; `problems` names each place and what is wrong there."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


# --- reading -----------------------------------------------------------------------------------------------------


def load_rule_set(path: Path) -> RuleSetDraft:
    """Read a rule set from a file; what it `extends` is a file of the same folder. BadRuleSet, OSError."""
    return parse_rule_set(path.read_text(encoding="utf-8"), path.parent)


def parse_rule_set(source: str | Mapping[str, Any], folder: Path | None = None) -> RuleSetDraft:
    """Read a rule set from YAML text or from the same as a mapping. BadRuleSet lists everything unreadable.

    `folder`: where the rule set lies that it may say it `extends`. What can be read but makes no sense is left to
    `rule_check.check`.
    """
    document = _yaml(source) if isinstance(source, str) else source
    return _Reader(document if folder is None else _over_base(document, folder, ())).rule_set()


def _over_base(document: Any, folder: Path, above: tuple[str, ...]) -> Any:
    """A document laid over the one it extends, rule by rule; `drop` lists rules of the base left out."""
    if not isinstance(document, Mapping) or "extends" not in document:
        return document
    name = document["extends"]
    files = [path.name for path in sorted(folder.glob("*.yaml"))]
    if name not in files or name in above:
        raise BadRuleSet([f"extends: {name!r} must be another of {', '.join(files)}"])
    base = _over_base(_yaml((folder / name).read_text(encoding="utf-8")), folder, (*above, name))
    if not isinstance(base, Mapping) or "ruleset" not in base:
        raise BadRuleSet([f"extends: {name!r} is no rule set"])
    head, dropped = document.get("ruleset", {}), document.get("drop", [])
    if not isinstance(head, Mapping) or not isinstance(dropped, list):
        raise BadRuleSet(["ruleset: must be a mapping, and drop: a list"])
    merged = {**base, **{key: value for key, value in document.items() if key not in ("extends", "drop")}}
    merged["ruleset"] = {**base["ruleset"], **head}
    for part in ("leads", "limits"):
        own = document.get(part, [])
        if not isinstance(own, list) or not all(isinstance(rule, Mapping) and "code" in rule for rule in own):
            raise BadRuleSet([f"{part}: must be a list of rules with a code each"])
        rules = {str(rule["code"]): rule for rule in (*base.get(part, ()), *own)}
        merged[part] = [rule for code, rule in rules.items() if code not in dropped]
    return merged


def _yaml(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError, LookupError, AttributeError, TypeError) as error:
        # the last three are what the reader says of a value under a tag it does not fit, such as `!!bool x`
        raise BadRuleSet([f"not readable as YAML: {' '.join(str(error).split())}"]) from None


_RULE_SET_KEYS = ("id", "code", "version", "valid_from", "valid_to", "note", "source")
_DOCUMENT_KEYS = (
    "ruleset", "calendar", "leads", "limits", "remind", "escalate", "extend", "stop_while_waiting", "day_end",
    "approve_by", "give_backs_before_supervisor", "close_after", "reopen_within", "progress_when_late_every",
    "directive_review_within", "tracks", "provisions",
)  # fmt: skip


class _Reader:
    """Reads one document, and collects every problem before it gives up."""

    def __init__(self, document: Any) -> None:
        self.problems: list[str] = []
        self.document = self._mapping("document", document)

    def rule_set(self) -> RuleSetDraft:
        head = self._mapping("ruleset", self.document.get("ruleset"))
        self._known("document", self.document, _DOCUMENT_KEYS)
        self._known("ruleset", head, _RULE_SET_KEYS)
        tracks = self._mapping("tracks", self.document.get("tracks", {}))
        self._known("tracks", tracks, ("texts", "fields", "channels"))
        plain = RuleSetDraft("", 1, date.min)
        valid_from = self._date("ruleset.valid_from", head.get("valid_from"))
        valid_to = head.get("valid_to")
        calendar = self._mapping("calendar", self.document.get("calendar", {}))
        draft = RuleSetDraft(
            code=self._text("ruleset.code", head.get("code", head.get("id"))),
            version=self._number("ruleset.version", head.get("version", 1)),
            valid_from=valid_from or date.min,
            valid_to=None if valid_to is None else self._date("ruleset.valid_to", valid_to),
            note=self._text("ruleset.note", head.get("note", ""), empty=True),
            source=self._text("ruleset.source", head.get("source", ""), empty=True),
            # YAML 1.1 reads the key `off` as false.
            calendar={"off" if str(key) == "False" else str(key): value for key, value in calendar.items()},
            leads=tuple(self._leads()),
            limits=tuple(self._limits()),
            remind=tuple(self._percentages(self.document.get("remind", list(plain.remind)))),
            escalate=tuple(self._ladder()),
            extend=self._extension(),
            stop_while_waiting=self._texts("stop_while_waiting", self.document.get("stop_while_waiting", [])),
            day_end=self._top("day_end", plain.day_end),
            approve_by=self._top("approve_by", plain.approve_by),
            give_backs_before_supervisor=self._number(
                "give_backs_before_supervisor",
                self.document.get("give_backs_before_supervisor", plain.give_backs_before_supervisor),
            ),
            close_after=self._top("close_after", plain.close_after),
            reopen_within=self._top("reopen_within", plain.reopen_within),
            progress_when_late_every=self._top("progress_when_late_every", plain.progress_when_late_every),
            directive_review_within=self._top("directive_review_within", plain.directive_review_within),
            tracks=tuple(self._track_phrases(tracks.get("texts", []))),
            track_fields=self._text_map("tracks.fields", tracks.get("fields", {})),
            track_channels=self._text_map("tracks.channels", tracks.get("channels", {})),
            provisions=tuple(self._provisions()),
        )
        if self.problems:
            raise BadRuleSet(self.problems)
        return draft

    def _leads(self) -> Iterator[LeadDraft]:
        for where, row in self._rows("leads", ("code", "rank", "when", "lead", "supporting", "note")):
            yield LeadDraft(
                code=self._text(f"{where}.code", row.get("code")),
                lead=self._text(f"{where}.lead", row.get("lead")),
                rank=self._number(f"{where}.rank", row.get("rank", 100)),
                when=self._condition(f"{where}.when", row.get("when", {})),
                supporting=self._texts(f"{where}.supporting", row.get("supporting", [])),
                note=self._text(f"{where}.note", row.get("note", ""), empty=True),
            )

    def _limits(self) -> Iterator[LimitDraft]:
        for where, row in self._rows("limits", ("code", "stage", "rank", "when", "amount", "note", "source")):
            yield LimitDraft(
                code=self._text(f"{where}.code", row.get("code")),
                stage=self._text(f"{where}.stage", row.get("stage")),
                amount=self._text(f"{where}.amount", row.get("amount")),
                rank=self._number(f"{where}.rank", row.get("rank", 100)),
                when=self._condition(f"{where}.when", row.get("when", {})),
                note=self._text(f"{where}.note", row.get("note", ""), empty=True),
                source=self._text(f"{where}.source", row.get("source", ""), empty=True),
            )

    def _condition(self, where: str, value: Any) -> Condition:
        row = self._mapping(where, value)
        self._known(where, row, (*CONDITION_LISTS, "competence_clear"))
        clear = row.get("competence_clear")
        if clear is not None and not isinstance(clear, bool):
            self._wrong(f"{where}.competence_clear", "must be true or false")
            clear = None
        lists = {key: self._texts(f"{where}.{key}", row[key]) for key in CONDITION_LISTS if row.get(key) is not None}
        return Condition(**lists, competence_clear=clear)

    def _ladder(self) -> Iterator[EscalationDraft]:
        for where, row in self._rows("escalate", ("after", "to")):
            yield EscalationDraft(
                self._text(f"{where}.after", row.get("after")), self._text(f"{where}.to", row.get("to"))
            )

    def _extension(self) -> Extension:
        row, plain = self._mapping("extend", self.document.get("extend", {})), Extension()
        self._known("extend", row, ("max", "max_ratio", "before_due", "reason_required", "granted_by", "beyond_by"))
        ratio = row.get("max_ratio", plain.max_ratio)
        if isinstance(ratio, bool) or not isinstance(ratio, int | float):
            self._wrong("extend.max_ratio", "must be a number")
            ratio = plain.max_ratio
        before_due, reason = (row.get(key, True) for key in ("before_due", "reason_required"))
        if not isinstance(before_due, bool) or not isinstance(reason, bool):
            self._wrong("extend", "before_due and reason_required must be true or false")
        return Extension(
            max=self._number("extend.max", row.get("max", plain.max)),
            max_ratio=float(ratio),
            before_due=bool(before_due),
            reason_required=bool(reason),
            granted_by=self._text("extend.granted_by", row.get("granted_by", plain.granted_by)),
            beyond_by=self._text("extend.beyond_by", row.get("beyond_by", plain.beyond_by)),
        )

    def _track_phrases(self, value: Any) -> Iterator[TrackPhrases]:
        for where, row in self._rows_of("tracks.texts", value, ("track", "phrases", "unless")):
            yield TrackPhrases(
                self._text(f"{where}.track", row.get("track")),
                self._texts(f"{where}.phrases", row.get("phrases", [])),
                self._texts(f"{where}.unless", row.get("unless", [])),
            )

    def _provisions(self) -> Iterator[Provision]:
        for where, row in self._rows("provisions", ("number", "key", "says", "mark", "source")):
            yield Provision(
                self._number(f"{where}.number", row.get("number")),
                self._text(f"{where}.key", row.get("key")),
                self._text(f"{where}.says", row.get("says")),
                self._text(f"{where}.mark", row.get("mark", ""), empty=True),
                self._text(f"{where}.source", row.get("source", ""), empty=True),
            )

    def _percentages(self, value: Any) -> Iterator[str]:
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, bool) or not isinstance(item, str | int | float):
                self._wrong("remind", f"{item!r} is not a share such as 80%")
            else:
                yield item if isinstance(item, str) else f"{item * 100:g}%"

    def _rows(self, part: str, keys: Sequence[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        return self._rows_of(part, self.document.get(part, []), keys)

    def _rows_of(self, part: str, value: Any, keys: Sequence[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        if not isinstance(value, list):
            self._wrong(part, "must be a list")
            return
        for index, item in enumerate(value):
            row = self._mapping(f"{part}[{index}]", item)
            name = row.get("code")
            where = f"{part}[{name}]" if isinstance(name, str) and name else f"{part}[{index}]"
            self._known(where, row, keys)
            yield where, row

    def _top(self, key: str, plain: str) -> str:
        return self._text(key, self.document.get(key, plain))

    def _text(self, where: str, value: Any, *, empty: bool = False) -> str:
        if not isinstance(value, str) or not (value.strip() or empty):
            self._wrong(where, "must be a text")
            return ""
        return value.strip()

    def _texts(self, where: str, value: Any) -> tuple[str, ...]:
        items = [value] if isinstance(value, str) else value
        if not isinstance(items, list) or not all(isinstance(item, str) and item.strip() for item in items):
            self._wrong(where, "must be a list of texts")
            return ()
        return tuple(item.strip() for item in items)

    def _text_map(self, where: str, value: Any) -> dict[str, str]:
        return {str(key): self._text(f"{where}.{key}", item) for key, item in self._mapping(where, value).items()}

    def _number(self, where: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            self._wrong(where, "must be a whole number")
            return 0
        return value

    def _date(self, where: str, value: Any) -> date | None:
        if isinstance(value, date) and not isinstance(value, datetime):
            return value
        try:
            return date.fromisoformat(value)
        except (TypeError, ValueError):
            self._wrong(where, "must be a date such as 2025-03-01")
            return None

    def _mapping(self, where: str, value: Any) -> Mapping[str, Any]:
        if isinstance(value, Mapping):
            return value
        self._wrong(where, "must be a mapping of keys and values")
        return {}

    def _known(self, where: str, row: Mapping[str, Any], keys: Sequence[str]) -> None:
        for key in row:
            if key not in keys:
                self._wrong(where, f"unknown key {key!r}; known are {', '.join(keys)}")

    def _wrong(self, where: str, problem: str) -> None:
        self.problems.append(f"{where}: {problem}")


# --- writing -----------------------------------------------------------------------------------------------------


def to_dict(draft: RuleSetDraft) -> dict[str, Any]:
    """The draft as the mapping that `parse_rule_set` reads, ready for JSON; defaults of single rules are left out."""
    return {
        "ruleset": {
            "code": draft.code,
            "version": draft.version,
            "valid_from": draft.valid_from.isoformat(),
            "valid_to": None if draft.valid_to is None else draft.valid_to.isoformat(),
            "note": draft.note,
            "source": draft.source,
        },
        "calendar": _plain(draft.calendar),
        "provisions": [
            {"number": p.number, "key": p.key, "says": p.says, "mark": p.mark, "source": p.source}
            for p in draft.provisions
        ],
        "leads": [
            _without_empty(
                {
                    "code": rule.code,
                    "rank": rule.rank,
                    "when": _condition_dict(rule.when),
                    "lead": rule.lead,
                    "supporting": list(rule.supporting),
                    "note": rule.note,
                }
            )
            for rule in draft.leads
        ],
        "limits": [
            _without_empty(
                {
                    "code": rule.code,
                    "stage": rule.stage,
                    "rank": rule.rank,
                    "when": _condition_dict(rule.when),
                    "amount": rule.amount,
                    "note": rule.note,
                    "source": rule.source,
                }
            )
            for rule in draft.limits
        ],
        "remind": list(draft.remind),
        "escalate": [{"after": step.after, "to": step.to} for step in draft.escalate],
        "extend": {
            "max": draft.extend.max,
            "max_ratio": draft.extend.max_ratio,
            "before_due": draft.extend.before_due,
            "reason_required": draft.extend.reason_required,
            "granted_by": draft.extend.granted_by,
            "beyond_by": draft.extend.beyond_by,
        },
        "stop_while_waiting": list(draft.stop_while_waiting),
        "day_end": draft.day_end,
        "approve_by": draft.approve_by,
        "give_backs_before_supervisor": draft.give_backs_before_supervisor,
        "close_after": draft.close_after,
        "reopen_within": draft.reopen_within,
        "progress_when_late_every": draft.progress_when_late_every,
        "directive_review_within": draft.directive_review_within,
        "tracks": {
            "texts": [{"track": t.track, "phrases": list(t.phrases), "unless": list(t.unless)} for t in draft.tracks],
            "fields": dict(draft.track_fields),
            "channels": dict(draft.track_channels),
        },
    }


def dump(draft: RuleSetDraft) -> str:
    """The draft as YAML text that reads back as the same draft."""
    return yaml.safe_dump(to_dict(draft), allow_unicode=True, sort_keys=False, width=120, default_flow_style=None)


def _condition_dict(when: Condition) -> dict[str, Any]:
    row: dict[str, Any] = {key: list(value) for key in CONDITION_LISTS if (value := getattr(when, key)) is not None}
    if when.competence_clear is not None:
        row["competence_clear"] = when.competence_clear
    return row


def _without_empty(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if value not in ("", [], {})}


def _plain(value: Any) -> Any:
    """Dates as text, mappings and lists all the way down."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.isoformat() if isinstance(value, date) else value
