"""What was typed into the form of an action, as the action's body; the forms themselves are `web.console.forms`."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from cases import masking
from cases.states import Action
from core.errors import Invalid
from core.text import nfc
from web.console.forms import COVERED, FILES, SEEN, fields_of
from web.pages import Form


def values_of(action: Action, form: Form) -> dict[str, list[str]]:
    """What was typed, to be shown again. Never files."""
    kept = {field.name: form.all(field.name) for field in fields_of(action) if field.kind not in FILES}
    helpers = tuple(f"{field.name}." for field in fields_of(action) if field.kind == "helpers")
    beside = [name for name in form.members if name in (SEEN, COVERED) or (helpers and name.startswith(helpers))]
    return kept | {name: form.all(name) for name in beside}


def stay(seen: Sequence[str], covered: Sequence[str]) -> list[str]:
    """Words that were shown as personal and not covered: somebody looked at them and says that they may stay."""
    return sorted(set(seen) - set(covered))


def body_of(action: Action, form: Form, zone: ZoneInfo, known: Collection[str] = ()) -> dict[str, Any]:
    """What was typed as the action's body; Invalid for a time that cannot be read, or a unit that was not chosen.

    `known`: how people are known that a text for the public may be about.

    Members left empty are left out, but for texts that must be there: their complaint is "empty", not "missing".
    """
    body: dict[str, Any] = {}
    for field in fields_of(action):
        if field.kind in FILES:
            continue
        if field.kind == "helpers":
            body[field.name] = [_helper(field.name, code, form, zone) for code in form.all(field.name)]
            continue
        if field.kind in ("departments", "people") or (field.kind == "flags" and form.flag(f"{field.name}_shown")):
            body[field.name] = form.all(field.name)
            continue
        if field.kind == "flags":  # a tap that says something else leaves them as they are
            continue
        given = form.text(field.name)
        if field.kind == "public" and given:
            stays = stay(form.all(SEEN), form.all(COVERED))
            spans = masking.suggest(nfc(given), known)
            covered = [span for span in spans if span.of(nfc(given)) in form.all(COVERED)]
            body[field.name], body["left"] = masking.masked(nfc(given), covered), stays
        elif field.kind == "officer":
            body[field.name] = given or None
        elif field.kind == "moment":
            if given or field.required:
                body[field.name] = _moment(field.name, given, zone)
        elif field.kind == "department" and field.required and not given:
            raise Invalid.at(field.name, "Hãy chọn một đơn vị.", "Choose a unit.", "missing")
        elif given or (field.required and field.kind in ("text", "line", "code")):
            body[field.name] = given
    return _nested(body)


def _helper(name: str, code: str, form: Form, zone: ZoneInfo) -> dict[str, Any]:
    """A unit that helps, with the task and the date that were given it."""
    helper: dict[str, Any] = {"unit": code}
    if task := form.text(f"{name}.task.{code}"):
        helper["task"] = task
    if until := form.text(f"{name}.until.{code}"):
        helper["until"] = _moment(name, until, zone)
    return helper


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """`document.number` as a member of `document`; who sees a document is said only of one that is named."""
    body: dict[str, Any] = {}
    for name, value in flat.items():
        whole, _, member = name.partition(".")
        if member:
            body.setdefault(whole, {})[member] = value
        else:
            body[name] = value
    if "document" in body and body["document"].keys() <= {"public", "file_public"}:
        del body["document"]
    return body


def _moment(name: str, given: str, zone: ZoneInfo) -> datetime:
    """A time as browsers send it, local to the centre; Invalid for anything else, and for an hour that never was."""
    try:
        local = datetime.fromisoformat(given)
    except ValueError:
        local = None
    if local is None or local.tzinfo is not None or not 2000 <= local.year <= 2199:
        raise Invalid.at(name, "Hãy ghi ngày và giờ, ví dụ 31/12/2026 16:30.", "Give a day and a time.", "moment")
    return local.replace(tzinfo=zone)
