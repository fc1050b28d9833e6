"""The conversation of a case as its page shows it: what was said, and between it, slim, what was done."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from cases.acts import DocumentOf
from cases.dossier import Dossier, Event
from cases.models import Case, Entry
from cases.queries import CaseFile
from cases.states import Status
from core.attachments import Attachment
from core.files import INLINE_TYPES
from routing.queries import Routing
from web.console.roads import Way, roads
from web.console.sounds import Sound
from web.names import name_of
from web.rendering import Viewer
from web.shapes import named_department
from web.times import moment

PICTURES = frozenset(kind for kind in INLINE_TYPES if kind.startswith("image/"))


@dataclass(frozen=True, slots=True)
class Picture:
    """A file under a line: shown when it is a picture, else named."""

    url: str
    name: str
    size: int
    shown: bool
    width: int | None
    height: int | None
    signed: bool = False  # the signed one of an official document


@dataclass(frozen=True, slots=True)
class Line:
    """One thing said or done.

    `look`: citizen, centre (what the citizen got or will get), inner (for staff only), unit (a contribution), or event.
    """

    look: str
    kind: str  # of the entry, or of the event
    at: datetime
    who: str
    text: str = ""
    title: str = ""
    files: tuple[Picture, ...] = ()
    sounds: tuple[Sound, ...] = ()
    channel: str = ""
    bad: bool = False
    road: tuple[Way, ...] = ()  # how it went to the citizen, the last way last
    document: DocumentOf | None = None  # by which an answer is given


@dataclass(frozen=True, slots=True)
class Storyteller:
    """Turns entries and journal rows of one case into lines, in one viewer's language."""

    view: Viewer
    routing: Routing
    case: Case
    names: Mapping[UUID, str]
    at: datetime | None = None  # of what is being told

    def person(self, kind: str, id: UUID | None) -> str:
        """Who did it: a name, else what they are."""
        return (self.names.get(id) if id else None) or name_of("actor", kind, self.view.lang)

    def unit(self, code: str | None) -> str:
        """A department's name: as it was called then, where a moment is told of."""
        if code is not None and self.at is not None:
            return self.routing.directory.name_at(code, self.at.astimezone(self.view.zone).date())
        named = named_department(code, self.routing)
        return named["name"] if named else ""

    def event(self, event: Event) -> Line:
        """A journal row in one line."""
        title = name_of("event", event.kind, self.view.lang)
        detail = _DETAILS.get(event.kind, _nothing)(replace(self, at=event.at), event.data)
        return Line(
            "event",
            event.kind,
            event.at,
            "" if event.actor_kind == "system" else self.person(event.actor_kind, event.actor_id),
            text=detail,
            title=title,
            bad=event.kind in ("limit.breached", "commitment.broken"),
        )

    def told(self, when: str | None) -> str:
        """A moment out of a journal row."""
        return moment(datetime.fromisoformat(when), self.view.zone) if when else ""


def conversation(
    told: Dossier, view: Viewer, routing: Routing, sounds: Mapping[UUID | None, tuple[Sound, ...]]
) -> list[Line]:
    """Everything said, oldest first, with the slim lines of what was done between."""
    case = told.file.case
    teller = Storyteller(view, routing, case, told.names)
    files = _files(told.file)
    sent = roads(told)
    contributed = {e.at: teller.unit(e.data.get("department")) for e in told.events if e.kind == "case.contribute"}
    lines = [_said(entry, teller, files, sent, contributed, told) for entry in told.file.entries]
    lines = [
        replace(line, sounds=sounds.get(e.id, ()), document=told.file.acts.document(e.id))
        for line, e in zip(lines, told.file.entries, strict=True)
    ]
    lines += [teller.event(event) for event in told.events if event.kind in _SLIM]
    # What was done stands above what was said with it.
    return sorted(lines, key=lambda line: (line.at, line.look != "event"))


def timeline(told: Dossier, view: Viewer, routing: Routing) -> list[Line]:
    """Every row of the journal, newest first."""
    teller = Storyteller(view, routing, told.file.case, told.names)
    return [teller.event(event) for event in reversed(told.events)]


def since(events: Iterable[Event], names: Mapping[UUID, str], case: Case, view: Viewer, routing: Routing) -> list[Line]:
    """What others did, to be shown beside a form that came too late."""
    teller = Storyteller(view, routing, case, names)
    return [teller.event(event) for event in events]


_TITLES = {
    "question": "Hỏi người dân",
    "progress": "Báo tiến độ",
    "answer": "Trả lời người dân",
    "notice": "Đã báo người dân",
    "reason": "Lý do",
    "note": "Ghi chú nội bộ",
    "contribution": "Ý kiến phối hợp",
    "files": "Tệp đính kèm",
    "order": "Chỉ đạo của lãnh đạo",
    "task": "Việc nhờ phối hợp",
    "dispute": "Xin cấp trên quyết định",
    "decision": "Quyết định của cấp trên",
    "order_answer": "Trả lời chỉ đạo",
    "elsewhere": "Trả lời từ hộp thư của kênh",
}


_NOT_SENT = {
    "case.return_answer": "Câu trả lời đã bị trả lại",
    "case.rehome": "Câu trả lời chưa gửi: đơn vị không còn hoạt động",
    "case.merge": "Câu trả lời chưa gửi: phản ánh đã gộp",
}


def _became(answer: Entry, events: Iterable[Event]) -> str:
    """Why an answer was never sent."""
    after = (_NOT_SENT[event.kind] for event in events if event.at >= answer.created_at and event.kind in _NOT_SENT)
    return next(after, "Câu trả lời chưa gửi")


def _said(
    entry: Entry,
    teller: Storyteller,
    files: Mapping[UUID | None, tuple[Picture, ...]],
    sent: Mapping[UUID, tuple[Way, ...]],
    contributed: Mapping[datetime, str],
    told: Dossier,
) -> Line:
    say, case = teller.view.say, told.file.case
    road = sent.get(entry.id, ())
    who = teller.person(entry.author_kind, entry.author_id)
    title = say(_TITLES[entry.kind]) if entry.kind in _TITLES else ""
    look = "inner"
    if entry.kind in ("report", "message"):
        look = "citizen"
        if entry.author_kind != "citizen":
            title = say("%(who)s ghi lại", who=who)
            who = name_of("actor", "citizen", teller.view.lang)
        elif not entry.to_citizen:
            title = say("Người dân của phản ánh đã gộp vào đây")
    elif entry.kind in ("question", "progress", "answer", "notice", "elsewhere"):
        look = "centre"
        if entry.kind == "answer" and not road and not entry.to_citizen:
            waits = entry.id == case.answer_id and case.status == Status.ANSWERED
            title = say("Câu trả lời chờ duyệt") if waits else say(_became(entry, told.events))
            look = "draft"
    elif entry.kind == "task":
        asked = (part.department for part in told.file.assignments if part.task_id == entry.id)
        title = " · ".join([title, *(teller.unit(code) for code in asked)])
    elif entry.kind == "contribution":
        look, who = "unit", " · ".join(part for part in (contributed.get(entry.created_at, ""), who) if part)
    return Line(
        look,
        entry.kind,
        entry.created_at,
        who,
        text="" if entry.kind == "files" else entry.text,
        title=title,
        files=files.get(entry.id, ()),
        channel=case.channel if entry.kind == "report" else "",
        bad=bool(road and road[-1].bad),
        road=road,
    )


def _files(file: CaseFile) -> dict[UUID | None, tuple[Picture, ...]]:
    found: dict[UUID | None, tuple[Picture, ...]] = {}
    for entry_id, each in zip((one.entry_id for one in file.attachments), pictures(file), strict=True):
        found[entry_id] = (*found.get(entry_id, ()), each)
    return found


def pictures(file: CaseFile) -> list[Picture]:
    """The files of a case as its page shows them."""
    signed = {each.file_id for each in file.acts.documents}
    return [_picture(each, each.id in signed) for each in file.attachments]


def _picture(file: Attachment, signed: bool) -> Picture:
    return Picture(
        f"/api/v1/attachments/{file.id}",
        file.name,
        file.size,
        file.media_type in PICTURES,
        file.width,
        file.height,
        signed,
    )


Detail = Callable[[Storyteller, Mapping[str, Any]], str]


def _nothing(teller: Storyteller, data: Mapping[str, Any]) -> str:
    return ""


def _forwarded(teller: Storyteller, data: Mapping[str, Any]) -> str:
    told = teller.unit(data.get("lead"))
    if helpers := [teller.unit(code) for code in data.get("supporting", [])]:
        told += teller.view.say("; phối hợp: %(units)s", units=", ".join(helpers))
    return told


def _rehomed(teller: Storyteller, data: Mapping[str, Any]) -> str:
    """Who had it → who has it now."""
    none = teller.view.say("trung tâm, chưa tìm được đơn vị kế thừa")
    return "; ".join(
        f"{teller.unit(each['department'])} → {teller.unit(each['heir']) if each['heir'] else none}"
        for each in data.get("handed", [])
    )


def _given_back(teller: Storyteller, data: Mapping[str, Any]) -> str:
    told = teller.unit(data.get("department"))
    if data.get("suggested"):
        told += teller.view.say("; gợi ý: %(unit)s", unit=teller.unit(data["suggested"]))
    if data.get("count", 0) > 1:
        told += teller.view.say("; lần thứ %(n)s", n=data["count"])
    return told


def _classified(teller: Storyteller, data: Mapping[str, Any]) -> str:
    return ", ".join(name_of("fact", name, teller.view.lang) for name in data.get("changed", []))


def _named(group: str, member: str) -> Detail:
    def tell(teller: Storyteller, data: Mapping[str, Any]) -> str:
        return name_of(group, data.get(member), teller.view.lang) if data.get(member) else ""

    return tell


def _department(teller: Storyteller, data: Mapping[str, Any]) -> str:
    return teller.unit(data.get("department"))


def _until(teller: Storyteller, data: Mapping[str, Any]) -> str:
    return teller.view.say("đến %(when)s", when=teller.told(data.get("until")))


def _more_time(teller: Storyteller, data: Mapping[str, Any]) -> str:
    return _until(teller, data) + (teller.view.say(", ngoài số lần của bộ quy tắc") if data.get("beyond") else "")


def _by_department(teller: Storyteller, data: Mapping[str, Any]) -> str:
    return ", ".join(part for part in (teller.unit(data.get("department")), _until(teller, data)) if part)


def _member(name: str) -> Detail:
    return lambda teller, data: str(data.get(name) or "")


def _officer(teller: Storyteller, data: Mapping[str, Any]) -> str:
    return teller.names.get(UUID(data["officer"]), "") if data.get("officer") else teller.view.say("không giao cho ai")


def _clock(teller: Storyteller, data: Mapping[str, Any]) -> str:
    return "; ".join(
        f"{name_of('stage', op['stage'], teller.view.lang)} – {teller.unit(op['holder'])}"
        for op in data.get("limits", [])
    )


def _recounted(teller: Storyteller, data: Mapping[str, Any]) -> str:
    """Which limit moved from when to when, and whether it is late by that."""
    say, told = teller.view.say, []
    for op in data.get("limits", []):
        clock = _clock(teller, {"limits": [op]})
        line = say(
            "%(clock)s: hạn %(was)s dời thành %(due)s",
            clock=clock,
            was=teller.told(op["was"]),
            due=teller.told(op["due_at"]),
        )
        if op["was_breached"] and not op["breached"]:
            line += say(", không còn là quá hạn")
        elif op["breached"] and not op["was_breached"]:
            line += say(", nay là quá hạn")
        told.append(line)
    return "; ".join(told)


def _rated(teller: Storyteller, data: Mapping[str, Any]) -> str:
    return teller.view.say("%(n)s trên 5 sao", n=data.get("rating"))


def _upwards(teller: Storyteller, data: Mapping[str, Any]) -> str:
    lang = teller.view.lang
    whom = name_of("escalation_role", data["to"], lang)
    return f"{name_of('stage', data['stage'], lang)} – {teller.unit(data['holder'])} → {whom}"


def _reopened(teller: Storyteller, data: Mapping[str, Any]) -> str:
    return teller.unit(data.get("lead"))


_DETAILS: dict[str, Detail] = {
    "case.open": lambda teller, data: name_of("channel", teller.case.channel, teller.view.lang),
    "case.forward": _forwarded,
    "case.give_back": _given_back,
    "case.classify": _classified,
    "case.set_track": _named("track", "track"),
    "case.refuse": _named("refusal", "reason_code"),
    "case.redirect": _named("destination", "destination"),
    "case.hand_over": _named("destination", "destination"),
    "case.rehome": _rehomed,
    "case.contribute": _department,
    "case.chase": _department,
    "case.request_extension": _more_time,
    "case.grant_extension": _more_time,
    "case.tell_progress": _until,
    "case.direct": _by_department,
    "commitment.broken": _by_department,
    "case.ask_support": _by_department,
    "case.release_support": _department,
    "case.give_back_support": _given_back,
    "case.dispute": _by_department,
    "case.decide_dispute": _reopened,
    "case.answer_directive": _department,
    "case.merge": _member("into"),
    "case.link_incident": _member("into"),
    "case.split": _member("new"),
    "case.rate": _rated,
    "case.reopen": _reopened,
    "case.assign_officer": _officer,
    "limit.escalated": _upwards,
    "recording.play": _named("listening", "purpose"),
    "limit.breached": _clock,
    "limit.reminded": _clock,
    "limit.recounted": _recounted,
    "limit.stuck": lambda teller, data: _clock(teller, {"limits": [data]}),
    "limit.restarted": lambda teller, data: _clock(teller, {"limits": [data]}),
}

# What happened without words of its own in the conversation.
_SLIM = frozenset(
    {
        "case.classify",
        "case.set_track",
        "case.forward",
        "case.recall",
        "case.accept",
        "case.give_back",
        "case.assign_officer",
        "case.request_extension",
        "case.grant_extension",
        "case.deny_extension",
        "case.return_answer",
        "case.approve_answer",
        "case.reply",
        "case.publish",
        "case.unpublish",
        "case.rate",
        "case.close",
        "case.reopen",
        "case.refuse",
        "case.redirect",
        "case.mark_spam",
        "case.unmark_spam",
        "case.merge",
        "case.split",
        "case.link_incident",
        "case.unlink_incident",
        "case.chase",
        "case.reveal_identity",
        "case.hand_over",
        "case.direct",
        "case.ask_support",
        "case.release_support",
        "case.give_back_support",
        "case.dispute",
        "case.decide_dispute",
        "case.rehome",
        "case.withdrawn",
        "case.restored",
        "limit.breached",
        "commitment.broken",
    }
)
