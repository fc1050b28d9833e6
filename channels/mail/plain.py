"""The readable text of a mail's body: HTML as plain lines, and one clean form for all. Pure.

HTML is only read, never shown: no script, style or hidden preheader, links with their address, lists, tables. A
tokenizer of its own instead of the standard library's, which takes quadratic time on broken markup. Marks at the start
of a line tell `quoting` what only the HTML knew; `tidy` takes them out.
"""

import html
import re
from typing import Final

from core.text import nfc

TAIL, ATTRIBUTION, SIGNATURE, SIGNATURE_END = "\ue000", "\ue001", "\ue002", "\ue003"
_CELL: Final = "\ue004"
_MARKS: Final = re.compile("[\ue000-\ue004]")

MOST_BODY: Final = 100_000  # characters of a whole body; the mail itself is kept besides
_MOST_HTML: Final = 1_000_000

_CONTROLS: Final = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\ufeff\u200b-\u200f\u202a-\u202e\u2060-\u206f\ud800-\udfff\ue000-\ue004\ufffc]"
)
_BLOCKS: Final = frozenset(
    [
        "address",
        "article",
        "aside",
        "center",
        "dd",
        "details",
        "dialog",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figcaption",
        "figure",
        "footer",
        "form",
        "header",
        "hr",
        "legend",
        "main",
        "nav",
        "option",
        "section",
        "summary",
        "title",
        "tr",
    ]
)
_PARAGRAPHS: Final = frozenset(["p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "table", "pre", "blockquote"])
_UNSEEN: Final = frozenset(
    ["script", "style", "head", "title", "template", "noscript", "svg", "math", "object", "select", "xml"]
)
_VOID: Final = frozenset(
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"]
)
_NESTED: Final = frozenset(["div", "span", "td", "tr", "table", "p", "font", "blockquote", "a", "section"])

_MARKUP: Final = re.compile("<(?=[a-zA-Z/!?])")
_ATTRIBUTE: Final = re.compile(r"""([a-zA-Z][\w:-]{0,40})\s{0,9}=\s{0,9}(?:"([^"]*)"|'([^']*)'|([^\s>"']{1,4000}))""")
_BIG_NUMBER: Final = re.compile(r"&#x?[0-9a-fA-F]{8,};?")
_HIDDEN: Final = re.compile(
    r"display\s{0,3}:\s{0,3}none|visibility\s{0,3}:\s{0,3}hidden|mso-hide\s{0,3}:\s{0,3}all|opacity\s{0,3}:\s{0,3}0(?:\s|;|!|$)|"
    r"font-size\s{0,3}:\s{0,3}[01](?:px|pt)?\s{0,3}(?:;|!|$)|max-height\s{0,3}:\s{0,3}0",
    re.IGNORECASE,
)
_TAIL_MARKS: Final = re.compile(
    r"\b(?:yahoo_quoted|divRplyFwdMsg|appendonsend|OLK_SRC_BODY_SECTION|replySplit|mail-editor-reference-message-container|"
    r"ms-outlook-mobile-reference-message|protonmail_quote|zmail_extra|tutanota_quote|gmail_extra|ntes_mailmaster_quote)\b"
)
_SIGNATURES: Final = re.compile(
    r"\b(?:gmail_signature|moz-signature|protonmail_signature_block|ms-outlook-mobile-signature|yahoo-signature)\b|"
    r"^(?:x_)*signature$",
    re.IGNORECASE,
)


def tidy(text: str) -> str:
    """The text as it is kept: NFC, no control characters or marks, no more than one blank line in a row."""
    lines = (line.rstrip() for line in _CONTROLS.sub("", nfc(text)).replace("\u00a0", " ").splitlines())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")[:MOST_BODY].rstrip()


def from_html(text: str) -> str:
    """The text a reader of the HTML sees, with marks."""
    text = text[:_MOST_HTML]
    reading = _Reading()
    reading.read(text, heed_hidden=True)
    if reading.unseen is not None and reading.unseen[0] not in ("script", "style"):
        again = _Reading()  # what was hidden never ended: rather too much than nothing
        again.read(text, heed_hidden=False)
        reading = again
    return reading.text()


class _Reading:
    """One pass over the markup."""

    def __init__(self) -> None:
        self.made: list[str] = []  # finished lines
        self.line: list[str] = []
        self.gap = False  # a blank line comes before the next words
        self.quotes: list[bool] = []  # of the open blockquotes, whether it is one
        self.lists: list[int] = []  # numbers of the open lists, -1 where they have bullets
        self.pre = 0
        self.links: list[tuple[str, int]] = []
        self.regions: list[tuple[str, int]] = []  # open signatures: their tag and how many of it are open inside
        self.unseen: tuple[str, int] | None = None  # what is passed over: its tag and how many of it are open
        self.mark = ""

    def read(self, text: str, *, heed_hidden: bool) -> None:
        """Take in the whole of it."""
        self.heed_hidden = heed_hidden
        place, ended = 0, False
        while place < len(text):
            found = None if ended else _MARKUP.search(text, place)
            if found is None:
                self.words(text[place:])
                return
            at = found.start()
            if at > place:
                self.words(text[place:at])
            if text.startswith("<!--", at):
                close = text.find("-->", at + 4)
                place = close + 3 if close >= 0 else at + 4
                if close < 0:
                    ended = "<" not in text[place : place + 100_000]
                    close = text.find(">", place)
                    place = close + 1 if close >= 0 else len(text)
                continue
            close = _end_of_tag(text, at)
            if close < 0:
                ended, place = True, at
                continue
            self.tag(text[at + 1 : close])
            place = close + 1

    def words(self, text: str) -> None:
        """Text between tags."""
        if self.unseen is not None:
            return
        text = html.unescape(_BIG_NUMBER.sub("", text)) if "&" in text else text
        text = _MARKS.sub("", text)
        if self.pre:
            first, *rest = text.replace("\r", "").split("\n")
            self.line.append(first)
            for each in rest:
                self.end_line()
                self.line.append(each)
            return
        text = re.sub(r"[ \t\r\n\f\xa0]+", " ", text)
        if text.strip() or (text and self.line):
            self.line.append(text)

    def tag(self, inner: str) -> None:
        """An opening or closing tag, without its brackets."""
        closing = inner.startswith("/")
        found = re.match(r"/?([a-zA-Z][a-zA-Z0-9]{0,20})", inner)
        if found is None:
            return
        name = found[1].lower()
        if self.unseen is not None:
            self.pass_over(name, closing, inner)
            return
        if closing:
            self.close(name)
            return
        attributes = _attributes(inner[found.end() :]) if len(inner) > found.end() + 2 else {}
        if name in _UNSEEN or (self.heed_hidden and name in _NESTED and _is_hidden(attributes)):
            if not inner.endswith("/"):
                self.unseen = (name, 1)
            return
        self.open(name, attributes)

    def pass_over(self, name: str, closing: bool, inner: str) -> None:
        """Inside what is not seen: only its own end matters. A body shows whatever head was not closed."""
        assert self.unseen is not None
        tag, depth = self.unseen
        if tag == "head" and name == "body":
            self.unseen = None
        elif name == tag:
            depth += -1 if closing else 0 if inner.endswith("/") or tag in ("script", "style") else 1
            self.unseen = (tag, depth) if depth > 0 else None

    def open(self, name: str, attributes: dict[str, str]) -> None:
        """Begin of an element."""
        known = f"{attributes.get('class', '')} {attributes.get('id', '')}"
        if name == "br":
            self.end_line(blank=True)
        elif name in _PARAGRAPHS:
            self.end_line()
            self.gap = self.gap or name not in ("ul", "ol") or not self.lists
        elif name in _BLOCKS or name == "li":
            self.end_line()
        if known.strip():
            self.regard(name, known, attributes)
        if self.regions and name == self.regions[-1][0] and name not in _VOID:
            self.regions[-1] = name, self.regions[-1][1] + 1
        if name == "blockquote":
            self.quotes.append(_is_quote(attributes))
        elif name == "ul":
            self.lists.append(-1)
        elif name == "ol":
            self.lists.append(0)
        elif name == "li":
            self.line.append(self.bullet())
        elif name == "pre":
            self.pre += 1
        elif name in ("td", "th"):
            self.line.append(_CELL)
        elif name == "a":
            self.links.append((attributes.get("href", ""), len(self.line)))
        elif name == "img" and 0 < len(attributes.get("alt", "")) <= 4 and not attributes["alt"].isascii():
            self.line.append(attributes["alt"])

    def regard(self, name: str, known: str, attributes: dict[str, str]) -> None:
        """What mail programs call their own parts."""
        if _TAIL_MARKS.search(known):
            self.end_line()
            self.mark = TAIL
        elif "gmail_attr" in known or "moz-cite-prefix" in known:
            self.end_line()
            self.mark = ATTRIBUTION
        elif _SIGNATURES.search(attributes.get("class", "")) or _SIGNATURES.search(attributes.get("id", "")):
            self.end_line()
            self.made.append(SIGNATURE)
            self.regions.append((name, 0))

    def close(self, name: str) -> None:
        """End of an element."""
        if name in _PARAGRAPHS:
            self.end_line()
            self.gap = self.gap or name not in ("ul", "ol") or len(self.lists) < 2
        elif name in _BLOCKS or name == "li":
            self.end_line()
        if name == "blockquote" and self.quotes:
            self.quotes.pop()
        elif name in ("ul", "ol") and self.lists:
            self.lists.pop()
        elif name == "pre" and self.pre:
            self.pre -= 1
        elif name == "a" and self.links:
            self.end_link()
        if self.regions and name == self.regions[-1][0]:
            tag, depth = self.regions.pop()
            if depth > 1:
                self.regions.append((tag, depth - 1))
            else:
                self.end_line()
                self.made.append(SIGNATURE_END)

    def bullet(self) -> str:
        """What a list item begins with."""
        if not self.lists or self.lists[-1] < 0:
            return "- "
        self.lists[-1] += 1
        return f"{self.lists[-1]}. "

    def end_link(self) -> None:
        """The address behind the words of a link, where the words do not say it."""
        address, begun = self.links.pop()
        address = html.unescape(_BIG_NUMBER.sub("", address)).strip()
        shown = "".join(self.line[begun:]).strip()
        if not re.match(r"https?://\S", address, re.IGNORECASE) or not shown or len(address) > 2000:
            return
        if _bare(shown) not in (_bare(address), _bare(address).partition("/")[0]):
            self.line.append(f" <{address}>")

    def end_line(self, *, blank: bool = False) -> None:
        """The line is over; with `blank` also when nothing is on it."""
        if not self.line and not blank:
            return
        text = "".join(self.line)
        self.line = []
        if self.links:
            self.links = [(address, 0) for address, _ in self.links[-5:]]
        if not self.pre:
            text = re.sub(rf"(?<! ) *{_CELL}[ {_CELL}]*", _CELL, text).strip(f" {_CELL}").replace(_CELL, " | ")
            text = re.sub(r"(?<=\S) {2,}", " ", text)
        if not text.strip() and not blank:
            return
        prefix = "> " * sum(self.quotes[-20:])
        if self.gap and self.made:
            self.made.append(prefix.rstrip())
        self.gap = False
        self.made.append(self.mark + prefix + text.rstrip())
        self.mark = ""

    def text(self) -> str:
        """All lines."""
        self.pre = 0
        self.end_line()
        return "\n".join(self.made)


def _end_of_tag(text: str, at: int) -> int:
    """Where the tag closes; a bracket inside quotes does not close it, unless the quotes never end."""
    first = close = text.find(">", at)
    for _ in range(4):
        if close < 0 or close - at > 20_000 or text.count('"', at, close) % 2 == 0:
            return first if close < 0 else close
        close = text.find(">", close + 1, at + 20_000)
    return first


def _attributes(text: str) -> dict[str, str]:
    made: dict[str, str] = {}
    for found in _ATTRIBUTE.finditer(text[:20_000]):
        value = found[2] if found[2] is not None else found[3] if found[3] is not None else found[4]
        made.setdefault(found[1].lower(), value)
    if re.search(r"\shidden(?:\s|/|$)", text[:2000]):
        made.setdefault("hidden", "hidden")
    return made


def _is_hidden(attributes: dict[str, str]) -> bool:
    return attributes.get("hidden") == "hidden" or bool(_HIDDEN.search(attributes.get("style", "")[:2000]))


def _is_quote(attributes: dict[str, str]) -> bool:
    """Some programs indent with blockquotes: those are the writer's own words."""
    if attributes.get("type", "").lower() == "cite" or "cite" in attributes:
        return True
    style = attributes.get("style", "").replace(" ", "").lower()
    return "quote" in attributes.get("class", "") or ("border-left" in style and "border-left:none" not in style)


def _bare(address: str) -> str:
    return re.sub(r"^(?:https?://)?(?:www\.)?", "", address.strip().lower()).rstrip("/")
