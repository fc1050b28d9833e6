"""Files in which somebody kept many payloads of a channel, taken apart for `main.py parse`. Pure.

A mailbox file (mbox), a list in JSON, one JSON document or one form a line, the answer to Telegram's `getUpdates`.
"""

import json
import re
from typing import Any, Final

_STARTS: Final = re.compile(  # `From an@example.org Mon Oct 20 08:00:00 2025`, and a header below it
    rb"^From [^\r\n]{0,200}\d\d:\d\d[^\r\n]{0,30}\b(?:19|20)\d\d\b[^\r\n]{0,100}\r?\n(?=>?[!-9;-~]{2,60}(?::|[ ]))",
    re.MULTILINE,
)
_FORM: Final = re.compile(rb"[^\s=&{]{1,100}=\S*")


def bodies(channel: str, file: bytes) -> list[bytes]:
    """The payloads in a file, each as it would have been received; a file that holds one, or none, is that one."""
    if channel == "email":
        return _mails(file) or [file]
    documents = _documents(channel, file)
    if documents is not None:
        return [json.dumps(each, ensure_ascii=False).encode("utf-8", "surrogatepass") for each in documents]
    lines = [line for line in file.splitlines() if line.strip()]
    if len(lines) > 1 and all(_FORM.fullmatch(line.strip()) and b"Sid=" in line for line in lines):
        return lines
    return [file]


def _mails(file: bytes) -> list[bytes]:
    """The mails of a mailbox file; such a line within a mail, where no blank line is before it, begins none."""
    first = len(file) - len(file.lstrip(b"\xef\xbb\xbf \t\r\n"))
    found = [each.start() for each in _STARTS.finditer(file)]
    starts = [at for at in found if at == first or file[max(0, at - 3) : at].endswith((b"\n\n", b"\n\r\n"))]
    if first not in starts:
        return []
    return [file[start:end] for start, end in zip(starts, [*starts[1:], len(file)], strict=True)]


def _documents(channel: str, file: bytes) -> list[Any] | None:
    """The objects of a list or of lines; None where the file is one object, or no JSON."""
    text = file.decode("utf-8-sig", "replace")
    whole = _read(text)
    if channel == "telegram" and isinstance(whole, dict) and "update_id" not in whole:
        whole = whole.get("result")
    if isinstance(whole, list):
        return whole if whole and all(isinstance(each, dict) for each in whole) else None
    if whole is not None:
        return None
    lines = [_read(line) for line in text.split("\n") if line.strip()]
    return lines if len(lines) > 1 and all(isinstance(each, dict) for each in lines) else None


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
