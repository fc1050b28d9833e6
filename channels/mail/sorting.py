"""Which parts of a mail a person reads, and which are files. Pure.

Left out is what only the transport needs: delivery reports, signatures, the calendar copy of an invitation's text.
"""

import re
from dataclasses import dataclass, field
from typing import Final

from channels.mail.parts import DEEPEST, MOST_PARTS, Part
from channels.mail.plain import from_html, tidy

TRANSPORT: Final = frozenset(
    {
        "message/delivery-status",
        "message/global-delivery-status",
        "message/disposition-notification",
        "message/global-disposition-notification",
        "message/feedback-report",
        "message/rfc822-headers",
        "message/global-headers",
        "message/external-body",
        "text/rfc822-headers",
        "text/x-amp-html",
        "application/applefile",
        "application/pgp-encrypted",
        "application/pgp-signature",
        "application/pkcs7-signature",
        "application/x-pkcs7-signature",
    }
)
_TEXTS: Final = frozenset({"text/plain", "text/html", "text/enriched", "text/richtext", "application/xhtml+xml"})
_STUB_LENGTH: Final = 400  # characters of a text that only points to the HTML
_STUB: Final = re.compile(
    r"\bhtml\b|xem (?:thư|email|e-mail) (?:này )?(?:trên|bằng|trong) trình duyệt|multi-?part message in mime|"
    r"\bview (?:it|this|the)\b.{0,60}\b(?:browser|online)\b",
    re.IGNORECASE,
)
_IS_HTML: Final = re.compile(r"\s{0,50}(?:<!doctype html|<html|<head>|<body)", re.IGNORECASE)


@dataclass
class Sorted:
    """The parts of a mail in order: those a person reads, and those that are files."""

    texts: list[Part] = field(default_factory=list)
    files: list[Part] = field(default_factory=list)


def sorted_parts(mail: Part) -> Sorted:
    """Sort out the whole mail."""
    made = _sorted(mail, 0, [MOST_PARTS])
    if not made.texts:  # some programs give the text itself a name
        named = next((one for one in made.files if one.media_type in _TEXTS and not _is_attached(one)), None)
        if named is not None:
            made.files.remove(named)
            made.texts.append(named)
    return made


def readable(part: Part) -> str:
    """A text part as plain lines, with the marks of `plain`."""
    text, kind = part.text(), part.media_type
    if kind in ("text/html", "application/xhtml+xml") or _IS_HTML.match(text):
        return from_html(text)
    if kind in ("text/enriched", "text/richtext"):
        return from_enriched(text)
    if part.parameters.get("format", "").lower() == "flowed":
        return joined(text, part.parameters.get("delsp", "").lower() == "yes")
    return text


def joined(text: str, delsp: bool) -> str:
    """Text of format=flowed (RFC 3676) with its soft line breaks undone."""
    made: list[str] = []
    open_depth = -1
    for line in text.split("\n"):
        depth = len(line) - len(line.lstrip(">"))
        words = line[depth:].removeprefix(" ")
        flows = words.endswith(" ") and words != "-- "
        if words == "-- " or depth != open_depth:
            made.append(">" * depth + (" " if depth else "") + words)
        else:
            made[-1] = f"{made[-1]}{words}" if len(made[-1]) < 20_000 else made[-1]
        if flows and delsp:
            made[-1] = made[-1][:-1]
        open_depth = depth if flows else -1
    return "\n".join(made)


def from_enriched(text: str) -> str:
    """Of text/enriched and text/richtext (RFC 1896)."""
    plain = re.sub(r"<param>[^<]{0,200}</param>", "", text, flags=re.IGNORECASE)
    plain = re.sub(r"<nl>", "\n", plain, flags=re.IGNORECASE)
    plain = re.sub(r"</?[a-zA-Z][^<>]{0,60}>", "", plain.replace("<<", "\ue004"))
    return re.sub(r"\n(\n*)", lambda found: found[1] or " ", plain).replace("\ue004", "<")


def _sorted(part: Part, depth: int, left: list[int]) -> Sorted:
    """`left` counts down the parts that are still looked at, in the whole mail."""
    kind = part.media_type
    children = part.children() if kind.startswith("multipart/") and depth < DEEPEST and left[0] > 0 else []
    left[0] -= 1
    if not children:
        return _leaf(part)
    inner = [_sorted(child, depth + 1, left) for child in children if left[0] > 0]
    if kind == "multipart/alternative":
        return _alternative(inner)
    made = Sorted()
    for one in inner:
        if kind != "multipart/related" or not made.texts:  # the first is what is read, the others are its pictures
            made.texts += one.texts
        made.files += one.files
    return made


def _leaf(part: Part) -> Sorted:
    kind = part.media_type
    if kind in TRANSPORT or (part.start >= part.end and not part.filename):
        return Sorted()
    if _is_attached(part):
        return Sorted(files=[part])
    if kind.startswith("multipart/") or (kind in _TEXTS and not part.filename):
        return Sorted(texts=[part])
    return Sorted(files=[part])


def _is_attached(part: Part) -> bool:
    return part.disposition[0] == "attachment"


def _alternative(inner: list[Sorted]) -> Sorted:
    """One text of those that say the same, the plain one unless it says nothing; the files of all."""
    plain = [one for one in inner if one.texts and all(part.media_type == "text/plain" for part in one.texts)]
    rich = [one for one in inner if one.texts and one not in plain]
    chosen = next((one for one in plain if not _says_nothing(one.texts, bool(rich))), None)
    if chosen is None and rich:
        html = [one for one in rich if any("html" in part.media_type for part in one.texts)]
        chosen = (html or rich)[-1]
    chosen = chosen or next(iter(plain), Sorted())
    files = [part for one in inner for part in one.files if part.filename or part.media_type != "text/calendar"]
    return Sorted(list(chosen.texts), files)


def _says_nothing(texts: list[Part], has_html: bool) -> bool:
    """Whether plain text is empty, or only says that one should look at the HTML."""
    said = " ".join(" ".join(part.text(20_000) for part in texts).split())
    return not tidy(said) or (has_html and len(said) < _STUB_LENGTH and _STUB.search(said) is not None)
