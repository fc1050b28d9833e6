"""How cases look in JSON: to staff, in lists, to their citizen, to everyone (DESIGN.md 7.3)."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from cases.act_models import AnswerDocument
from cases.acts import DocumentOf
from cases.commitments import owed_since
from cases.desk import offered, parts_of
from cases.giving_back import give_back_until
from cases.lists import Page
from cases.looks import text_in_list
from cases.models import Assignment, Case, Limit
from cases.queries import CaseFile, contact_shown
from cases.states import NOT_FOR_STAFF, Status, possible
from core.attachments import Attachment
from core.staff import Actor
from routing.queries import Routing

LIST_TEXT = 280  # characters of the report in a list


def when(moment: datetime | None, zone: ZoneInfo) -> str | None:
    """ISO 8601 in the centre's zone."""
    return moment.astimezone(zone).isoformat() if moment else None


def zone_of(routing: Routing) -> ZoneInfo:
    """The centre's zone."""
    return routing.calendars["province"].zone


def named_department(code: str | None, routing: Routing) -> dict[str, str] | None:
    """{code, name} of a department."""
    if code is None:
        return None
    known = routing.departments.get(code)
    return {"code": code, "name": known.name if known else code}


def named_field(code: str | None, routing: Routing) -> dict[str, str] | None:
    """{code, name} of a field."""
    if code is None:
        return None
    known = routing.field_rows.get(code)
    return {"code": code, "name": known.name if known else code}


def named_area(code: str | None, routing: Routing, on: datetime | None = None) -> dict[str, str] | None:
    """{code, name, type} of an area, as it is named now, or was at a moment."""
    place = routing.area(code)
    if place is None:
        return None
    name = place.name if on is None else place.name_at(on.astimezone(zone_of(routing)).date())
    return {"code": place.code, "name": name, "type": place.type}


def limit_shape(limit: Limit, zone: ZoneInfo) -> dict[str, Any]:
    """One running or finished clock."""
    return {
        "stage": limit.stage,
        "clock": limit.clock,
        "amount": f"{limit.amount}{limit.unit}/{limit.clock}",
        "holder": limit.holder,
        "opened_at": when(limit.opened_at, zone),
        "due_at": when(limit.due_at, zone),
        "met_at": when(limit.met_at, zone),
        "cancelled_at": when(limit.cancelled_at, zone),
        "breached_at": when(limit.breached_at, zone),
        "stopped_at": when(limit.stopped_at, zone),
    }


def attachment_shape(attachment: Attachment) -> dict[str, Any]:
    """One file; its bytes are at `url`."""
    return {
        "id": str(attachment.id),
        "name": attachment.name,
        "media_type": attachment.media_type,
        "size": attachment.size,
        "sha256": attachment.sha256,
        "url": f"/api/v1/attachments/{attachment.id}",
    }


def next_due(case: Case, routing: Routing) -> dict[str, Any] | None:
    """The clock that runs out next: stage, who owes it, and when."""
    if case.next_due_at is None:
        return None
    return {
        "stage": case.next_stage,
        "holder": named_department(case.next_holder, routing),
        "due_at": when(case.next_due_at, zone_of(routing)),
    }


def case_rows(page: Page, routing: Routing) -> list[dict[str, Any]]:
    """The cases of a page of a list."""
    return [case_row(case, routing, page.officer_of(case)) for case in page.items]


def case_row(case: Case, routing: Routing, officer: str | None = None) -> dict[str, Any]:
    """A case in a list; `officer` is the e-mail of who works on it."""
    zone = zone_of(routing)
    return {
        "code": case.code,
        "version": case.version,
        "status": case.status,
        "kind": case.kind,
        "track": case.track,
        "channel": case.channel,
        "urgency": case.urgency,
        "mode": case.mode,
        "suggested_track": case.suggested_track,
        "text": text_in_list(case)[:LIST_TEXT],
        "field": named_field(case.field, routing),
        "area": named_area(case.area, routing, case.received_at),
        "lead": named_department(case.lead, routing),
        "public": case.public,
        "officer": officer,
        "needs_supervisor": case.needs_supervisor,
        "next_due": next_due(case, routing),
        "promised_at": when(case.promised_at, zone),
        "received_at": when(case.received_at, zone),
        "created_at": when(case.created_at, zone),
    }


def case_to_staff(file: CaseFile, actor: Actor, routing: Routing) -> dict[str, Any]:
    """A case with everything this person may see and what they may do now."""
    case, zone = file.case, zone_of(routing)
    contact = contact_shown(actor, case)
    book = routing.rulebook(case.rule_set_id)
    live = [a for a in file.assignments if a.ended_at is None]
    said = {entry.id: entry.text for entry in file.entries}
    clocks = {limit.id: limit for limit in file.limits}
    return {
        **case_row(case, routing, file.officer),
        "text": case.text,
        "track_confirmed": case.track_confirmed,
        "competence": case.competence,
        "asset_owner": case.asset_owner,
        "road_class": case.road_class,
        "flags": case.flags,
        "accused": [named_department(code, routing) for code in case.accused_units],
        "accused_staff": file.accused_staff,
        "handed_over": _handed_over(case, zone),
        "location": {"lat": case.lat, "lng": case.lng, "address": case.address, "area": case.area},
        "attachments": [attachment_shape(each) for each in file.attachments],
        "assignments": [
            {
                "department": named_department(a.department, routing),
                "role": a.role,
                "state": a.state,
                "opened_at": when(a.opened_at, zone),
                "accepted_at": when(a.accepted_at, zone),
                "task": said[a.task_id] if a.task_id else None,
                "ended_at": when(a.ended_at, zone),
                "give_back_until": when(_back_until(case, a, routing), zone),
            }
            for a in file.assignments
        ],
        "area_candidates": case.area_candidates,
        "supporting": [named_department(a.department, routing) for a in live if a.role == "supporting"],
        "suggested": {
            "lead": named_department(case.decision.get("lead"), routing),
            "supporting": [named_department(code, routing) for code in case.decision.get("supporting", [])],
        },
        "limits": [limit_shape(each, zone) for each in file.limits],
        "citizen": {**contact, "revealed": case.identity_revealed},
        "entries": [
            {
                "id": str(entry.id),
                "kind": entry.kind,
                "author": entry.author_kind,
                "text": entry.text,
                "to_citizen": entry.to_citizen,
                "at": when(entry.created_at, zone),
            }
            for entry in file.entries
        ],
        "commitments": [
            {
                "department": named_department(each.department, routing),
                "told_at": when(each.told_at, zone),
                "until": when(each.until, zone),
                "state": each.state,
                "current": each.current,
            }
            for each in file.acts.promises
        ],
        "progress_owed_since": when(progress_owed(file, routing), zone),
        "disputes": [
            {
                "raised_by": named_department(each.department, routing),
                "text": said[each.entry_id],
                "opened_at": when(each.opened_at, zone),
                "due_at": when(clocks[each.limit_id].due_at, zone),
                "decided_at": when(each.decided_at, zone),
                "decision": said[each.decision_id] if each.decision_id else None,
                "lead": named_department(each.lead, routing),
            }
            for each in file.acts.disputes
        ],
        "directives": [
            {
                "department": named_department(each.department, routing),
                "text": said[each.entry_id],
                "opened_at": when(each.opened_at, zone),
                "due_at": when(clocks[each.limit_id].due_at, zone),
                "answered_at": when(each.answered_at, zone),
                "answer": said[each.answer_id] if each.answer_id else None,
                "owed": clocks[each.limit_id].met_at is None and clocks[each.limit_id].cancelled_at is None,
            }
            for each in file.acts.orders
        ],
        "extensions": [
            {
                "department": each.department,
                "until": when(each.until, zone),
                "reason": each.reason,
                "state": each.state,
                "beyond": each.beyond,
                "requested_at": when(each.requested_at, zone),
            }
            for each in file.extensions
        ],
        "give_backs": case.give_backs,
        "chased": case.chased,
        "rating": case.rating,
        "public_text": case.public_text,
        "published_at": when(case.published_at, zone),
        "document": document_shape(file.acts.document(case.answer_id)),
        "approved_at": when(case.approved_at, zone),
        "replied_at": when(case.replied_at, zone),
        "ended_at": when(case.ended_at, zone),
        "merged_into": file.merged_into,
        "incident": file.incident,
        "rule_set": _rule_set(case, routing),
        "actions": [action.value for action in offered(file, actor, book) if action not in NOT_FOR_STAFF],
    }


def _back_until(case: Case, part: Assignment, routing: Routing) -> datetime | None:
    """Until when this unit may give its part back, while it has it and has not done it."""
    if part.ended_at is not None or part.state not in ("open", "accepted"):
        return None
    return give_back_until(case, part, routing, routing.rulebook(case.rule_set_id))


def progress_owed(file: CaseFile, routing: Routing) -> datetime | None:
    """From when on the lead, being late, owes its citizen word of the progress with a date; None while in time."""
    running = (each for each in file.limits if each.stage == "resolve" and not (each.met_at or each.cancelled_at))
    limit = next(running, None)
    if limit is None or limit.breached_at is None:
        return None
    told = [each for each in file.acts.promises if each.department == limit.holder]
    book = routing.rulebook(file.case.rule_set_id)
    calendar = routing.calendar_of(limit.holder, book)
    return owed_since(limit.due_at, told, book.progress_when_late_every, calendar)


def document_shape(document: DocumentOf | AnswerDocument | None) -> dict[str, Any] | None:
    """The official document of an answer; `file` is the signed one among the attachments."""
    if document is None:
        return None
    return {
        "number": document.number,
        "issued_on": document.issued_on.isoformat(),
        "signer": document.signer,
        "file": str(document.file_id) if document.file_id else None,
        "public": document.public,
        "file_public": document.file_public,
    }


def _handed_over(case: Case, zone: ZoneInfo) -> dict[str, Any] | None:
    """Who has had the emergency since when."""
    if case.handed_over_at is None:
        return None
    return {"to": case.handed_over_to, "at": when(case.handed_over_at, zone)}


def _for_citizen(event: dict[str, Any], case: Case, routing: Routing) -> dict[str, Any]:
    """What happened, with the names that units had that day; of a restricted case no unit is told."""
    day, data = event["at"].astimezone(zone_of(routing)).date(), event["data"]
    units = {key: data[key] for key in ("was", "lead") if data.get(key) and not case.restricted}
    names = {key: routing.directory.name_at(code, day) for key, code in units.items()}
    return {**event, "at": when(event["at"], zone_of(routing)), "data": {"to": data["to"], **names}}


def case_to_citizen(file: CaseFile, events: list[dict[str, Any]], routing: Routing) -> dict[str, Any]:
    """A case as its reporter follows it: no names of staff, no inner workings."""
    case, zone = file.case, zone_of(routing)
    shown = {entry.id for entry in file.entries if entry.to_citizen}
    reply = next((e.text for e in file.entries if e.id == case.answer_id and case.replied_at is not None), None)
    document = file.acts.document(case.answer_id) if reply is not None else None
    return {
        "code": case.code,
        "status": case.status,
        "received_at": when(case.received_at, zone),
        "promised_at": when(case.promised_at, zone),
        "text": case.text,
        "field": named_field(case.field, routing),
        "area": named_area(case.area, routing, case.received_at),
        "location": {"lat": case.lat, "lng": case.lng, "address": case.address, "area": case.area},
        "lead": None if case.restricted else named_department(case.lead, routing),
        "limits": [
            {
                key: value
                for key, value in limit_shape(each, zone).items()
                if key in ("stage", "clock", "holder", "opened_at", "due_at", "met_at", "breached_at")
            }
            for each in file.limits
            if each.cancelled_at is None and each.stage in ("forward", "accept", "resolve") and not case.restricted
        ],
        "messages": [
            {
                "id": str(entry.id),
                "kind": entry.kind,
                "from": "citizen" if entry.author_kind == "citizen" else "centre",
                "text": entry.text,
                "at": when(entry.created_at, zone),
            }
            for entry in file.entries
            if entry.to_citizen
        ],
        "timeline": [_for_citizen(event, case, routing) for event in events],
        "attachments": [attachment_shape(each) for each in file.attachments if each.entry_id in shown],
        "reply": reply,
        "document": document_shape(document if document is not None and document.public else None),
        "rating": case.rating,
        "merged_into": file.merged_into,
        "actions": [action.value for action in possible(Status(case.status), parts_of(_CITIZEN, case, []))],
    }


def _published_document(case: Case, document: AnswerDocument | None) -> dict[str, Any] | None:
    if document is None:
        return None
    return {
        "number": document.number,
        "issued_on": document.issued_on.isoformat(),
        "signer": document.signer,
        "file": f"/cases/{case.code}/document" if document.file_public else None,
    }


def published_case(case: Case, routing: Routing, document: AnswerDocument | None = None) -> dict[str, Any]:
    """A published case: the checked text, never the citizen's own words; the place is the unit's centre; the document
    it was answered by, whose `file` is an address only where everybody may read it."""
    zone, place = zone_of(routing), routing.area(case.area)
    return {
        "code": case.code,
        "status": case.status,
        "text": case.public_text,
        "field": named_field(case.field, routing),
        "area": named_area(case.area, routing, case.received_at),
        "lead": named_department(case.lead, routing),
        "location": {"lat": place.lat, "lng": place.lng} if place and place.lat is not None else None,
        "received_on": case.received_at.astimezone(zone).date().isoformat(),
        "replied_on": case.replied_at.astimezone(zone).date().isoformat() if case.replied_at else None,
        "published_at": when(case.published_at, zone),
        "document": _published_document(case, document),
        "rating": case.rating,
    }


def _rule_set(case: Case, routing: Routing) -> str:
    book = routing.rulebook(case.rule_set_id)
    return f"{book.code} v{book.version}"


_CITIZEN = Actor(kind="citizen")
