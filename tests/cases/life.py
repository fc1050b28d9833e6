"""The life of a case as DESIGN.md section 5 tells it, spelled out by hand: what the tests hold the code against."""

STATUSES = [
    "received",
    "forwarded",
    "in_progress",
    "waiting_citizen",
    "answered",
    "replied",
    "closed",
    "refused",
    "redirected",
    "merged",
    "spam",
]
PARTS = [
    "agent",
    "dispatcher",
    "supervisor",
    "inspector",
    "handler",
    "leader",
    "lead_officer",
    "lead_head",
    "supporting_officer",
    "supporting_head",
    "citizen",
    "system",
]
OPEN = "received forwarded in_progress waiting_citizen answered"
ALL = " ".join(STATUSES)
HANDLE = "agent dispatcher supervisor inspector handler lead_officer lead_head supporting_officer supporting_head"

UNITS = "lead_officer lead_head supporting_officer supporting_head"

# DESIGN.md section 5, row by row: action → (who, from, to). `same`, `was` and `last_lead` depend on the case.
LIFE = {
    "add_message": [("citizen", ALL.replace(" merged spam", ""), "was")],
    "note": [(HANDLE, ALL, "same")],
    "assign_officer": [(HANDLE, ALL, "same")],
    "attach": [(HANDLE, ALL, "same")],
    "classify": [("agent dispatcher", "received forwarded in_progress", "same")],
    "set_track": [("agent supervisor inspector handler", "received forwarded", "same")],
    "answer_directly": [("agent dispatcher", "received", "answered")],
    "forward": [("agent dispatcher supervisor handler", "received", "forwarded")],
    "recall": [("dispatcher supervisor handler", "forwarded in_progress", "received")],
    "accept": [("lead_officer handler", "forwarded", "in_progress")],
    "give_back": [("lead_officer lead_head handler", "forwarded in_progress", "received")],
    "ask_citizen": [
        ("agent dispatcher handler", "received in_progress", "waiting_citizen"),
        ("lead_officer", "in_progress", "waiting_citizen"),  # before that it has no officer
    ],
    "contribute": [("supporting_officer", "forwarded in_progress waiting_citizen answered", "same")],
    "request_extension": [("lead_officer handler", "in_progress waiting_citizen", "same")],
    "grant_extension": [("lead_head dispatcher leader supervisor handler", "in_progress waiting_citizen", "same")],
    "deny_extension": [("lead_head dispatcher leader supervisor handler", "in_progress waiting_citizen", "same")],
    "tell_progress": [("lead_officer handler", "forwarded in_progress waiting_citizen", "same")],
    "submit_answer": [("lead_officer handler", "in_progress waiting_citizen", "answered")],
    "return_answer": [("lead_head dispatcher handler", "answered", "in_progress")],
    "approve_answer": [("lead_head dispatcher handler", "answered", "same")],
    "reply": [("system", "answered", "replied")],
    "publish": [("agent dispatcher", "replied closed", "same")],
    "unpublish": [("agent dispatcher", "replied closed", "same")],
    "rate": [("citizen", "replied closed", "same")],
    "close": [("system agent handler", "replied", "closed")],
    "reopen": [("citizen agent supervisor handler", "replied closed refused", "last_lead")],
    "refuse": [("agent dispatcher handler", "received waiting_citizen", "refused")],
    "redirect": [("dispatcher inspector handler", "received forwarded", "redirected")],
    "mark_spam": [("agent dispatcher handler", "received", "spam")],
    "unmark_spam": [("agent dispatcher handler", "spam", "received")],
    "merge": [("agent dispatcher", OPEN, "merged")],
    "split": [("agent dispatcher", "received forwarded in_progress", "same")],
    "link_incident": [("dispatcher", OPEN, "same")],
    "unlink_incident": [("dispatcher", OPEN, "same")],
    "chase": [("agent citizen", "forwarded in_progress waiting_citizen answered", "same")],
    "reveal_identity": [("agent supervisor handler", ALL, "same")],
    "hand_over": [("agent dispatcher supervisor inspector handler", "received forwarded in_progress", "same")],
    "direct": [("leader supervisor", "forwarded in_progress waiting_citizen answered", "same")],
    "ask_support": [("lead_officer lead_head dispatcher", "forwarded in_progress waiting_citizen", "same")],
    "release_support": [("lead_officer lead_head dispatcher", "forwarded in_progress waiting_citizen", "same")],
    "give_back_support": [("supporting_officer supporting_head", "forwarded in_progress waiting_citizen", "same")],
    "dispute": [(UNITS, "forwarded in_progress waiting_citizen", "same")],
    "decide_dispute": [
        ("leader supervisor", "forwarded in_progress waiting_citizen", "same")
    ],  # forwarded, to another lead
    "answer_directive": [(UNITS, "forwarded in_progress waiting_citizen answered", "same")],
    "rehome": [("system", OPEN, "same")],
}


def after(status: str, action: str, part: str, *, was: str = "in_progress", lives: bool = True) -> str | int:
    """What LIFE says of one cell: the next status, or 403 (never theirs, or not theirs here) or 409 (not now)."""
    rows = LIFE[action]
    for who, froms, to in rows:
        if part in who.split() and status in froms.split():
            return {
                "same": status,
                "was": was if status == "waiting_citizen" else status,
                "last_lead": "forwarded" if lives else "received",
            }.get(to, to)
    ever = any(part in who.split() for who, _, _ in rows)
    somebody_now = any(status in froms.split() for _, froms, _ in rows)
    return 409 if ever and not somebody_now else 403
