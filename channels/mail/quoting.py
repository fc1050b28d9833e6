"""What the person wrote: a mail's text without the mails it answers and without its signature. Pure.

Nothing is lost by it, because the whole text is kept besides; so it errs towards keeping. A forwarded mail is what the
person wanted to show and stays. Words between quotes, written line by line into the mail answered, stay too.
"""

import re
from typing import Final

from channels.mail.markers import (
    CUT,
    FORWARDED,
    LABELS,
    MOBILE,
    ORIGINAL,
    SUBJECT_FORWARDS,
    SUBJECT_REPLIES,
    WRITES,
    WRITES_FIRST,
)
from channels.mail.plain import ATTRIBUTION, SIGNATURE, SIGNATURE_END, TAIL

_MOST_LINES: Final = 20_000
_LOOK: Final = 600  # characters of a line that are looked at for a marker
_REACHED: Final = re.compile(r"@|https?://|www\.|\d[\d .()-]{7,}\d")  # an address or number, as in signatures
_TALL: Final = 15  # lines a signature may have below a line that is only nearly the standard one
_QUOTE: Final = re.compile(r"\s{0,3}(?:>|\|\s)")
_DATED: Final = re.compile(r"\d{1,2}[:.h]\d{2}|\b(?:19|20)\d\d\b|\d{1,2}[./-]\d{1,2}[./-]\d{2}")
_ADDRESS: Final = re.compile(r"[^\s<>@]{1,100}@[^\s<>@]{1,100}")
_WITH_QUOTE: Final = re.compile(r"([^:]{1,200}(?::\S[^:]{0,150}){0,3}[:：])[ \u00a0]{2,20}\S")
_BEHIND_WORDS: Final = re.compile(r"(?<=\w)[.!?]?(?:[ \t]{1,9}|-{2,4} )(?=(?:On|Vào) (?:\w{2,9}[,.]? )?[\w,]{1,9} ?\d)")
_DIRECTIONS: Final = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")  # in the lines of right-to-left
_LIST_FOOT: Final = re.compile(r"_{20,}$|-{20,}$")


def written(text: str, subject: str | None, *, reply: bool) -> str:
    """The person's own words. `text` may have the marks of `plain.from_html`; `reply`: the mail answers another."""
    text = _DIRECTIONS.sub("", text)
    if SUBJECT_FORWARDS.match(subject or ""):
        return _without_marks(_signed_off(text.split("\n")[:_MOST_LINES], keep_tail=True))
    lines = _apart(text.split("\n")[:_MOST_LINES])
    reply = reply or SUBJECT_REPLIES.match(subject or "") is not None
    said = _without_marks(_signed_off(_unquoted(lines, reply=reply), keep_tail=False))
    if said or reply:
        return said
    return _without_marks(lines)  # all of it seemed quoted, yet it answers nothing


def _apart(lines: list[str]) -> list[str]:
    """With a line of its own for what announces a quote, where that stands behind the last words written."""
    made: list[str] = []
    for place, line in enumerate(lines):
        found = _BEHIND_WORDS.search(line) if len(line) < _LOOK and line.rstrip().endswith(":") else None
        if found and place + 1 < len(lines) and _QUOTE.match(lines[place + 1]):
            made += [line[: found.start()], line[found.end() :]]
        else:
            made.append(line)
    return made


def _unquoted(lines: list[str], *, reply: bool) -> list[str]:
    """Without quotes and what announces them. Ends at a tail that has no quote marks; keeps what was forwarded."""
    kept: list[str] = []
    said = False  # whether words are among them
    place = 0
    while place < len(lines):
        line = lines[place]
        if FORWARDED.match(line[:_LOOK].lstrip(ATTRIBUTION + TAIL + "> \u00a0*").lower()) and not _QUOTE.match(line):
            return kept + lines[place:]
        if _QUOTE.match(line) and not line.lstrip().startswith(">From "):
            place += 1
            continue
        if CUT.search(line[:_LOOK].lower()):
            if said:
                return kept
            place += 1
            continue
        after = _announces(lines, place)
        if after is None:
            kept.append(line[1:] if line.startswith(">From ") else line)
            said = said or _has_words(line)
            place += 1
            continue
        following = _next_words(lines, after)
        block = lines[place:after]
        if following is None:
            return kept if reply or _is_sure(block) else kept + block
        if _QUOTE.match(lines[following]):
            place = following
        elif _forwards_next(lines, place, following):
            return kept + lines[following:]
        elif said and (reply or _is_sure(block)):
            return kept
        elif said or not reply:  # words that only look like it, or a mail passed on without saying so
            kept += block
            said, place = True, after
        elif _is_original(line) or _after_headers(lines, place) is not None:
            return kept  # an answer without a word
        else:
            place = following  # the answer may stand below
    return kept


def _announces(lines: list[str], place: int) -> int | None:
    """The place after what announces a quote, if something here does: a separator, an attribution, headers."""
    line = lines[place]
    if not _has_words(line):
        return None
    if line.startswith((TAIL, ATTRIBUTION)):
        return _after_headers(lines, place) or _after_attribution(lines, place) or place + 1
    if _is_original(line):
        following = _next_words(lines, place + 1)
        inner = _after_headers(lines, following) if following is not None else None
        return inner or place + 1
    if len(line.strip()) >= 5 and set(line[:_LOOK].strip()) <= set("_-–—="):
        following = _next_words(lines, place + 1)
        inner = _after_headers(lines, following) if following is not None and following <= place + 3 else None
        return inner
    return _after_attribution(lines, place) or _after_headers(lines, place)


def _is_original(line: str) -> bool:
    return ORIGINAL.match(line[:_LOOK].strip(" \u00a0\t*").lower()) is not None


def _is_sure(block: list[str]) -> bool:
    """Whether what announces a quote can be nothing else, in a mail that answers none."""
    first = block[0]
    return first.startswith((TAIL, ATTRIBUTION)) or _is_original(first) or any("@" in line for line in block)


def _after_attribution(lines: list[str], place: int) -> int | None:
    """The place after `On … wrote:`, which mail programs wrap over up to four lines."""
    head = ""
    for count in range(4):
        if place + count >= len(lines):
            return None
        line = lines[place + count][:_LOOK].strip(" \u00a0\t" + ATTRIBUTION)
        if count and (not line or _QUOTE.match(line)):
            return None
        head = f"{head} {line}".strip()
        if len(head) > _LOOK:
            return None
        if _is_attribution(head, lines, place + count + 1):
            return place + count + 1
        if (begins := _WITH_QUOTE.match(head)) and _is_attribution(begins[1], lines, len(lines)):
            return place + count + 1  # Yahoo goes on with the quote in the same line
        if count == 0 and not _may_begin(head):
            return None
    return None


def _may_begin(head: str) -> bool:
    """Whether a line can be the first of several of an attribution."""
    low = head.lower()
    return bool(WRITES_FIRST.match(low) or _DATED.search(low) or _ADDRESS.search(low))


def _is_attribution(head: str, lines: list[str], after: int) -> bool:
    low = head.lower().rstrip()
    if low.startswith("---") and low.endswith("---"):  # ---- An wrote ----
        low = low.strip("- ")
    elif not low.endswith((":", "：", ">", "wrote", "viết", "schrieb")):
        return False
    verb = WRITES.search(low)
    dated, address = _DATED.search(low) is not None, _ADDRESS.search(low) is not None
    if verb is not None and low.endswith((":", "：", verb[0])):
        if (dated and (address or WRITES_FIRST.match(low))) or (address and verb.end() >= len(low) - 12):
            return True
        following = _next_words(lines, after)
        return following is not None and following <= after + 1 and lines[following].lstrip().startswith(">")
    if low.endswith(">") and low[:1].isdigit() and dated and address:  # `2011/4/7 An <an@x>`
        following = _next_words(lines, after)
        return following is not None and following <= after + 1 and lines[following].startswith(">")
    return low.endswith((">:", ">：")) and dated and address  # `2025-10-20 8:00 GMT+07:00 An <an@x>:`


def _after_headers(lines: list[str], place: int) -> int | None:
    """The place after headers of the mail answered (`Từ: … Đã gửi: … Tới: … Chủ đề: …`), if they stand here."""
    if _label(lines[place]) not in ("from", "date", "subject"):
        return None
    seen: set[str] = set()
    real = False  # an address or a date is in them
    after, unknown = place, 0
    for at in range(place, min(place + 14, len(lines))):
        label = _label(lines[at])
        if label is not None:
            seen.add(label)
            real = real or "@" in lines[at] or (label == "date" and re.search(r"\d", lines[at]) is not None)
            after, unknown = at + 1, 0
        elif _has_words(lines[at]):
            unknown += 1
        if unknown > 2 or (
            not _has_words(lines[at]) and len(seen) >= 3 and at + 1 < len(lines) and not _label(lines[at + 1])
        ):
            break
    return (
        after if real and len(seen) >= 3 and "from" in seen and ("date" in seen or {"to", "subject"} <= seen) else None
    )


def _label(line: str) -> str | None:
    """Which header a line shows, in any of the languages we know."""
    name, colon, rest = line[:80].strip(" \u00a0\t*_" + TAIL + ATTRIBUTION).lower().replace("：", ":").partition(":")
    if not colon or (not rest.strip(" *") and len(line) >= 40):
        return None
    return LABELS.get(name.strip(" *\u00a0"))


def _forwards_next(lines: list[str], place: int, following: int) -> bool:
    """Whether a forwarded mail stands where a quote was announced."""
    return any(
        FORWARDED.match(line[:_LOOK].strip(" *" + TAIL + ATTRIBUTION).lower()) for line in lines[place : following + 1]
    )


def _signed_off(lines: list[str], *, keep_tail: bool) -> list[str]:
    """Without the signature: below `-- `, what mail programs mark as one, and what telephones add."""
    kept: list[str] = []
    place = 0
    while place < len(lines):
        line = lines[place]
        if keep_tail and FORWARDED.match(line[:_LOOK].strip(" *").lower()):
            return kept + lines[place:]
        if line == SIGNATURE:
            ends = next((at for at in range(place, len(lines)) if lines[at] == SIGNATURE_END), len(lines))
            while kept and (not _has_words(kept[-1]) or kept[-1].strip() == "--"):
                kept.pop()
            place = ends + 1
            continue
        if not keep_tail and _begins_signature(lines, place):
            break
        if len(line) < 160 and MOBILE.match(line.strip(" \t*_[(-—").lower()):
            place += 1
            continue
        kept.append(line)
        place += 1
    return kept


def _begins_signature(lines: list[str], place: int) -> bool:
    line = lines[place]
    if len(line) > 100 or line[:1] not in ("-", "_", "—", "–"):
        return False
    if line == "-- ":
        return True
    if line.strip() not in ("--", "—", "–", "__", "---") and not _LIST_FOOT.match(line.strip()):
        return False
    below = [each for each in lines[place + 1 : place + 100] if _has_words(each)]
    if line.strip() == "--":
        return len(below) <= _TALL
    if line.strip() in ("—", "–", "__", "---"):
        signed = len(below) <= 6 and max(map(len, below), default=99) <= 80 and any(map(_REACHED.search, below))
        return signed and any(map(_has_words, lines[max(0, place - 50) : place]))
    return (
        bool(_LIST_FOOT.match(line.strip()))
        and 0 < len(below) <= 8
        and any(
            "mailing list" in each.lower() or "unsubscribe" in each.lower() or "/listinfo" in each for each in below
        )
    )


def _has_words(line: str) -> bool:
    return line not in (SIGNATURE, SIGNATURE_END) and bool(line.strip(" \t\u00a0\u200b>|" + TAIL + ATTRIBUTION))


def _next_words(lines: list[str], place: int) -> int | None:
    """The next line that is not blank."""
    return next(
        (at for at in range(place, min(len(lines), place + 50)) if _has_words(lines[at]) or _QUOTE.match(lines[at])),
        None,
    )


def _without_marks(lines: list[str]) -> str:
    marks = TAIL + ATTRIBUTION + SIGNATURE + SIGNATURE_END
    return "\n".join(line.lstrip(marks) for line in lines if line not in (SIGNATURE, SIGNATURE_END)).strip()
