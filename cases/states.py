"""The life of a case as a table: status × action → status, and who may do it. What is not here is refused."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from core.errors import Conflict, NotAllowed


class Status(StrEnum):
    """Where a case stands."""

    RECEIVED = "received"
    FORWARDED = "forwarded"
    IN_PROGRESS = "in_progress"
    WAITING_CITIZEN = "waiting_citizen"
    ANSWERED = "answered"
    REPLIED = "replied"
    CLOSED = "closed"
    REFUSED = "refused"
    REDIRECTED = "redirected"
    MERGED = "merged"
    SPAM = "spam"


S = Status
OPEN = frozenset({S.RECEIVED, S.FORWARDED, S.IN_PROGRESS, S.WAITING_CITIZEN, S.ANSWERED})
ANY = frozenset(Status)


class Action(StrEnum):
    """What can be done to a case."""

    ADD_MESSAGE = "add_message"
    NOTE = "note"
    ASSIGN_OFFICER = "assign_officer"
    ATTACH = "attach"
    CLASSIFY = "classify"
    SET_TRACK = "set_track"
    ANSWER_DIRECTLY = "answer_directly"
    FORWARD = "forward"
    RECALL = "recall"
    ACCEPT = "accept"
    GIVE_BACK = "give_back"
    ASK_CITIZEN = "ask_citizen"
    CONTRIBUTE = "contribute"
    REQUEST_EXTENSION = "request_extension"
    GRANT_EXTENSION = "grant_extension"
    DENY_EXTENSION = "deny_extension"
    TELL_PROGRESS = "tell_progress"
    SUBMIT_ANSWER = "submit_answer"
    RETURN_ANSWER = "return_answer"
    APPROVE_ANSWER = "approve_answer"
    REPLY = "reply"
    PUBLISH = "publish"
    UNPUBLISH = "unpublish"
    RATE = "rate"
    CLOSE = "close"
    REOPEN = "reopen"
    REFUSE = "refuse"
    REDIRECT = "redirect"
    MARK_SPAM = "mark_spam"
    UNMARK_SPAM = "unmark_spam"
    MERGE = "merge"
    SPLIT = "split"
    LINK_INCIDENT = "link_incident"
    UNLINK_INCIDENT = "unlink_incident"
    CHASE = "chase"
    REVEAL_IDENTITY = "reveal_identity"
    HAND_OVER = "hand_over"
    DIRECT = "direct"
    ANSWER_DIRECTIVE = "answer_directive"
    ASK_SUPPORT = "ask_support"
    RELEASE_SUPPORT = "release_support"
    GIVE_BACK_SUPPORT = "give_back_support"
    DISPUTE = "dispute"
    DECIDE_DISPUTE = "decide_dispute"
    REHOME = "rehome"


class Part(StrEnum):
    """What somebody is to one case: a role at the centre, a place in a unit that has it, its citizen, the system."""

    AGENT = "agent"
    DISPATCHER = "dispatcher"
    SUPERVISOR = "supervisor"
    INSPECTOR = "inspector"
    HANDLER = "handler"  # of a restricted case: centre and unit in one
    LEADER = "leader"
    LEAD_OFFICER = "lead_officer"
    LEAD_HEAD = "lead_head"
    SUPPORTING_OFFICER = "supporting_officer"
    SUPPORTING_HEAD = "supporting_head"
    CITIZEN = "citizen"
    SYSTEM = "system"


class To(StrEnum):
    """Targets that depend on the case."""

    SAME = "same"
    WAS = "was"  # where it stood before waiting for the citizen; otherwise the same
    LAST_LEAD = "last_lead"  # forwarded when the last lead still lives, else received


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table. `who` maps each status the action starts from to the parts that may do it there."""

    who: dict[Status, frozenset[Part]]
    to: Status | To


P = Part
CENTRE = frozenset({P.AGENT, P.DISPATCHER})
APPROVERS = frozenset({P.LEAD_HEAD, P.DISPATCHER, P.HANDLER})
UNITS = frozenset({P.LEAD_OFFICER, P.LEAD_HEAD, P.SUPPORTING_OFFICER, P.SUPPORTING_HEAD})
WITH_UNITS = frozenset({S.FORWARDED, S.IN_PROGRESS, S.WAITING_CITIZEN})
DECIDERS = APPROVERS | {P.LEADER, P.SUPERVISOR}  # on more time, as the rule set says
HANDLERS = frozenset(
    {
        P.AGENT,
        P.DISPATCHER,
        P.SUPERVISOR,
        P.INSPECTOR,
        P.HANDLER,
        P.LEAD_OFFICER,
        P.LEAD_HEAD,
        P.SUPPORTING_OFFICER,
        P.SUPPORTING_HEAD,
    }
)


def _rule(statuses: Iterable[Status], who: Iterable[Part], to: Status | To = To.SAME) -> Rule:
    parts = frozenset(who)
    return Rule(dict.fromkeys(statuses, parts), to)


TABLE: dict[Action, Rule] = {
    Action.ADD_MESSAGE: _rule(ANY - {S.MERGED, S.SPAM}, {P.CITIZEN}, To.WAS),
    Action.NOTE: _rule(ANY, HANDLERS),
    Action.ASSIGN_OFFICER: _rule(ANY, HANDLERS),
    Action.ATTACH: _rule(ANY, HANDLERS),
    Action.CLASSIFY: _rule({S.RECEIVED, S.FORWARDED, S.IN_PROGRESS}, CENTRE),
    Action.SET_TRACK: _rule({S.RECEIVED, S.FORWARDED}, {P.AGENT, P.SUPERVISOR, P.INSPECTOR, P.HANDLER}),
    Action.ANSWER_DIRECTLY: _rule({S.RECEIVED}, CENTRE, S.ANSWERED),
    Action.FORWARD: _rule({S.RECEIVED}, CENTRE | {P.SUPERVISOR, P.HANDLER}, S.FORWARDED),
    Action.RECALL: _rule({S.FORWARDED, S.IN_PROGRESS}, {P.DISPATCHER, P.SUPERVISOR, P.HANDLER}, S.RECEIVED),
    Action.ACCEPT: _rule({S.FORWARDED}, {P.LEAD_OFFICER, P.HANDLER}, S.IN_PROGRESS),
    Action.GIVE_BACK: _rule({S.FORWARDED, S.IN_PROGRESS}, {P.LEAD_OFFICER, P.LEAD_HEAD, P.HANDLER}, S.RECEIVED),
    Action.ASK_CITIZEN: Rule(
        {S.RECEIVED: CENTRE | {P.HANDLER}, S.IN_PROGRESS: CENTRE | {P.LEAD_OFFICER, P.HANDLER}}, S.WAITING_CITIZEN
    ),
    Action.CONTRIBUTE: _rule(WITH_UNITS | {S.ANSWERED}, {P.SUPPORTING_OFFICER}),
    Action.REQUEST_EXTENSION: _rule({S.IN_PROGRESS, S.WAITING_CITIZEN}, {P.LEAD_OFFICER, P.HANDLER}),
    Action.GRANT_EXTENSION: _rule({S.IN_PROGRESS, S.WAITING_CITIZEN}, DECIDERS),
    Action.DENY_EXTENSION: _rule({S.IN_PROGRESS, S.WAITING_CITIZEN}, DECIDERS),
    Action.TELL_PROGRESS: _rule({S.FORWARDED, S.IN_PROGRESS, S.WAITING_CITIZEN}, {P.LEAD_OFFICER, P.HANDLER}),
    Action.SUBMIT_ANSWER: _rule({S.IN_PROGRESS, S.WAITING_CITIZEN}, {P.LEAD_OFFICER, P.HANDLER}, S.ANSWERED),
    Action.RETURN_ANSWER: _rule({S.ANSWERED}, APPROVERS, S.IN_PROGRESS),
    Action.APPROVE_ANSWER: _rule({S.ANSWERED}, APPROVERS),
    Action.REPLY: _rule({S.ANSWERED}, {P.SYSTEM}, S.REPLIED),
    Action.PUBLISH: _rule({S.REPLIED, S.CLOSED}, CENTRE),
    Action.UNPUBLISH: _rule({S.REPLIED, S.CLOSED}, CENTRE),
    Action.RATE: _rule({S.REPLIED, S.CLOSED}, {P.CITIZEN}),
    Action.CLOSE: _rule({S.REPLIED}, {P.SYSTEM, P.AGENT, P.HANDLER}, S.CLOSED),
    Action.REOPEN: _rule({S.REPLIED, S.CLOSED, S.REFUSED}, {P.CITIZEN, P.AGENT, P.SUPERVISOR, P.HANDLER}, To.LAST_LEAD),
    Action.REFUSE: _rule({S.RECEIVED, S.WAITING_CITIZEN}, CENTRE | {P.HANDLER}, S.REFUSED),
    Action.REDIRECT: _rule({S.RECEIVED, S.FORWARDED}, {P.DISPATCHER, P.INSPECTOR, P.HANDLER}, S.REDIRECTED),
    Action.MARK_SPAM: _rule({S.RECEIVED}, CENTRE | {P.HANDLER}, S.SPAM),
    Action.UNMARK_SPAM: _rule({S.SPAM}, CENTRE | {P.HANDLER}, S.RECEIVED),
    Action.MERGE: _rule(OPEN, CENTRE, S.MERGED),
    Action.SPLIT: _rule({S.RECEIVED, S.FORWARDED, S.IN_PROGRESS}, CENTRE),
    Action.LINK_INCIDENT: _rule(OPEN, {P.DISPATCHER}),
    Action.UNLINK_INCIDENT: _rule(OPEN, {P.DISPATCHER}),
    Action.CHASE: _rule({S.FORWARDED, S.IN_PROGRESS, S.WAITING_CITIZEN, S.ANSWERED}, {P.AGENT, P.CITIZEN}),
    Action.REVEAL_IDENTITY: _rule(ANY, {P.AGENT, P.SUPERVISOR, P.HANDLER}),
    Action.HAND_OVER: _rule({S.RECEIVED, S.FORWARDED, S.IN_PROGRESS}, CENTRE | {P.SUPERVISOR, P.INSPECTOR, P.HANDLER}),
    Action.DIRECT: _rule(WITH_UNITS | {S.ANSWERED}, {P.LEADER, P.SUPERVISOR}),
    Action.ANSWER_DIRECTIVE: _rule(WITH_UNITS | {S.ANSWERED}, UNITS),
    Action.ASK_SUPPORT: _rule(WITH_UNITS, {P.LEAD_OFFICER, P.LEAD_HEAD, P.DISPATCHER}),
    Action.RELEASE_SUPPORT: _rule(WITH_UNITS, {P.LEAD_OFFICER, P.LEAD_HEAD, P.DISPATCHER}),
    Action.GIVE_BACK_SUPPORT: _rule(WITH_UNITS, {P.SUPPORTING_OFFICER, P.SUPPORTING_HEAD}),
    Action.DISPUTE: _rule(WITH_UNITS, UNITS),
    Action.DECIDE_DISPUTE: _rule(WITH_UNITS, {P.LEADER, P.SUPERVISOR}),  # forwarded, when it is to be another unit's
    Action.REHOME: _rule(OPEN, {P.SYSTEM}),  # to received where no heir can be found
}

NOT_FOR_STAFF = frozenset({Action.REPLY, Action.ADD_MESSAGE, Action.RATE, Action.REHOME})
STAFF_ACTIONS = tuple(action for action in Action if action not in NOT_FOR_STAFF)


def step(
    status: Status, action: Action, parts: frozenset[Part], *, waiting_from: Status | None, lead_lives: bool
) -> Status:
    """The status after `action`, or NotAllowed (403: never theirs) or Conflict (409, naming what is allowed now).

    `waiting_from` is where a waiting case stood; `lead_lives` whether the last lead can take it again.
    """
    rule = TABLE[action]
    anywhere = frozenset().union(*rule.who.values())
    if not anywhere & parts:
        raise NotAllowed(
            f"Vai trò của anh/chị đối với phản ánh này không được làm việc “{action.value}”.",
            f"Your part in this case does not allow “{action.value}”.",
        )
    if status not in rule.who:
        allowed = possible(status, parts)
        raise Conflict(
            f"Phản ánh đang ở trạng thái “{status.value}” nên không thể “{action.value}”. "
            f"Lúc này có thể: {', '.join(allowed) or 'không việc nào'}.",
            f"The case is “{status.value}”: “{action.value}” is not possible. "
            f"Now possible: {', '.join(allowed) or 'nothing'}.",
            allowed=[str(name) for name in allowed],
            case_status=status.value,
        )
    if not rule.who[status] & parts:
        raise NotAllowed(
            f"Ở trạng thái “{status.value}”, vai trò của anh/chị không được làm việc “{action.value}”.",
            f"While the case is “{status.value}”, your part in it does not allow “{action.value}”.",
        )
    if rule.to is To.SAME:
        return status
    if rule.to is To.WAS:
        return waiting_from if status is S.WAITING_CITIZEN and waiting_from else status
    if rule.to is To.LAST_LEAD:
        return S.FORWARDED if lead_lives else S.RECEIVED
    return Status(rule.to)


def possible(status: Status, parts: frozenset[Part]) -> list[Action]:
    """Actions these parts may do in this status, in the table's order."""
    return [action for action, rule in TABLE.items() if rule.who.get(status, frozenset()) & parts]
