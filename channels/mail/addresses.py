"""Who wrote and to whom, as people's programs write it, right or wrong; the case that a reply address names. Pure."""

import re
from typing import Final

from channels.mail.charsets import words
from channels.mail.parts import Part
from channels.message import Address
from channels.reading import clean

_MOST: Final = 20_000  # bytes of a header that are read
_TOKENS: Final = re.compile(r'"(?:[^"\\]|\\.)*"?|<[^<>]*>?|[(),;:]|[^"<(),;:]+|>', re.DOTALL)
_ADDRESS: Final = re.compile(r"[^\s<>@,;:()\[\]\"'`]{1,64}@[^\s<>@,;:()\[\]\"'`]{1,190}[^\s<>@,;:()\[\]\"'`.]")
_QUOTED_LOCAL: Final = re.compile(r'"([^"\\]{1,60})"@([\w.-]{1,190})')
_PLAIN_LOCAL: Final = re.compile(r"[^\s<>@,;:()\[\]\"'`]{1,64}")
_TOKEN: Final = re.compile(r"\+([a-z]{1,4}-\d{2}-\d{7,18})(?:\.([a-z0-9_-]{4,64}))?$", re.IGNORECASE)
_IN_BRACKETS: Final = re.compile(r"\[\s?#?([a-z]{1,4})[-\s–]?(\d{2})[-\s–]?(\d{7,18})\s?\]", re.IGNORECASE)
_BARE: Final = re.compile(r"(?<![\w-])([a-z]{1,4})[-–](\d{2})[-–](\d{7,18})(?![\w-])", re.IGNORECASE)

RECIPIENTS: Final = ("delivered-to", "x-original-to", "envelope-to", "x-envelope-to", "to", "cc")


def mailboxes(raw: bytes) -> list[tuple[str, str]]:
    """Names and addresses of a header, the broken ones as far as they can be read; groups are opened."""
    line = raw[:_MOST].decode("latin-1")
    made: list[tuple[str, str]] = []
    name: list[str] = []
    comment: list[str] = []
    address, before, depth = "", 0, 0
    for token in [*_TOKENS.findall(line), ","]:
        if depth or token == "(":
            depth += (token == "(") - (token == ")")
            comment.append(token if depth and (token != "(" or depth > 1) else " ")
        elif token in (",", ";"):
            _finish(made, name, comment, address)
            name, comment, address = [], [], ""
        elif token == ":" and not any("@" in part for part in name) and not _is_scheme(name):
            name = []  # the name of a group
        elif token.startswith("<") and "@" in token:
            if address:  # two without a comma between them
                _finish(made, name[:before], comment, address)
                name, comment = name[before:], []
            address, before = token.strip("<>"), len(name)
        elif token not in (")", ">"):
            name.append(re.sub(r"\\(.)", r"\1", token[1:].removesuffix('"')) if token.startswith('"') else token)
    return made


def _is_scheme(name: list[str]) -> bool:
    return "".join(name).rstrip().lower().endswith("mailto")


def _finish(made: list[tuple[str, str]], name: list[str], comment: list[str], address: str) -> None:
    """One mailbox of its pieces; where the address is not in brackets it is among the words, or in encoded words."""
    said = _readable("".join(name))
    address = (address.isascii() and plain_address(address)) or plain_address(_readable(address)) if address else ""
    if not address:
        found = _ADDRESS.search(said)
        address = plain_address(found[0]) if found else ""
        said = said.replace(found[0], " ") if found else said
    if not address:
        return
    said = _unquoted(" ".join(re.sub(r"<[^<>@]{0,9}>|\[\s*\]|\bmailto:?", " ", said).strip(" <>[]").split()))
    if not said or said.lower() == address.lower():
        said = _readable("".join(comment))
    made.append(("" if said.lower() == address.lower() else said, address))


def _unquoted(name: str) -> str:
    """Without quotes around the whole of it, or one whose fellow is missing."""
    for quote in "\"'":
        if name.count(quote) == 1 or (name.count(quote) == 2 and name[0] == name[-1] == quote):
            name = name.strip(quote).strip()
    return name


def _readable(text: str) -> str:
    return words(text.encode("latin-1", "replace"))


def plain_address(text: str) -> str:
    """`local@domain` out of what should be that, its domain in lower case; empty where there is none."""
    if len(text) >= 1000:
        return ""
    if quoted := _QUOTED_LOCAL.search(text):
        local = quoted[1] if _PLAIN_LOCAL.fullmatch(quoted[1]) else f'"{quoted[1]}"'
        return f"{local}@{quoted[2].lower()}"
    text = re.sub(r"\s", "", text.strip().strip("<>'\"").removeprefix("mailto:"))
    found = _ADDRESS.search(text)
    if found is None:
        return ""
    local, _, domain = found[0].rpartition("@")
    return f"{local}@{domain.lower()}"


def sender_of(mail: Part) -> Address | None:
    """Whom it is from; without a usable From, whoever else the mail says has sent it."""
    for header in ("from", "sender", "resent-from", "x-original-from", "reply-to", "return-path"):
        for raw in mail.all(header):
            boxes = mailboxes(_with_bytes(raw))
            if boxes:
                name, address = boxes[0]
                return Address("email", clean(address) or "", clean(name))
        raw = mail.raw(header)
        if header == "from" and b"@" not in raw and raw.strip(b" <>\t"):
            local = re.match(rb"\s{0,9}<?([\w.-]{2,60})", raw)  # a local daemon
            if local and local[1].lower() in (b"mailer-daemon", b"postmaster", b"mail-daemon", b"root"):
                said = re.search(rb"\(([^()]{1,100})\)", raw)
                return Address("email", local[1].decode(), clean(words(said[1])) if said else None)
    return None


def _with_bytes(raw: bytes) -> bytes:
    """One line. ISO-2022-JP names may hold bytes that look like brackets; encoded words hide theirs."""
    return words(raw).encode("latin-1", "xmlcharrefreplace") if b"\x1b" in raw else re.sub(rb"\r?\n[ \t]*", b" ", raw)


def account_of(mail: Part) -> str:
    """The mailbox a mail came to, as far as it says: without what stands behind a plus."""
    for header in RECIPIENTS:
        for _, address in mailboxes(mail.raw(header))[:1]:
            local, _, domain = address.rpartition("@")
            return f"{local.partition('+')[0] or local}@{domain}".lower()
    return ""


def case_named(mail: Part, subject: str | None) -> dict[str, str]:
    """`case_token` and, where the address has one, `reply_token`: from an address it came to, else from its subject."""
    for header in RECIPIENTS:
        for raw in mail.all(header):
            for _, address in mailboxes(raw):
                if found := _TOKEN.search(address.rpartition("@")[0]):
                    token = {"reply_token": found[2]} if found[2] else {}
                    return {"case_token": found[1].upper(), **token}
    found = _IN_BRACKETS.search(subject or "") or _BARE.search(subject or "")
    return {"case_token": f"{found[1]}-{found[2]}-{found[3]}".upper()} if found else {}
