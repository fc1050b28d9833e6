"""The mail that a message becomes, to the byte: headers that thread it, text, files. Pure.

A unit's letter and a citizen's mail differ: a citizen may answer, under an address that names the case, and an
officer's answer to him carries no mark of a machine, so that his out-of-office reply reaches nobody but us.
"""

import base64
import re
import unicodedata
from collections.abc import Iterable, Sequence
from email.charset import QP, Charset
from email.errors import MessageError
from email.generator import BytesGenerator
from email.header import Header
from email.headerregistry import Address as Mailbox
from email.message import Message
from email.policy import compat32
from email.utils import format_datetime
from io import BytesIO
from typing import Any, Final, TypeAlias

from channels.adapter import Failure, SendFailed
from channels.mail.replying import CUT_LINE, LOOP_HEADER
from channels.message import FileRef, OutboundMessage
from core.ids import moment_of

Letter: TypeAlias = "Message[Any, Any]"

MOST_FILES: Final = 10_000_000  # bytes of all files of one mail; most servers take 20 to 25 MB, files grow by a third
MOST_REFERENCES: Final = 20  # ids of earlier mails that are repeated: the first and the last ones

_RECEIPT = "receipt"
_UNITS = "unit."  # purposes of letters to departments, which no machine shall answer and nobody else reads
_ID = re.compile(r"<?([!-;=?-~]{1,250}@[!-;=?-~]{1,250})>?")  # a Message-ID that can stand in a header


def is_for_department(message: OutboundMessage) -> bool:
    """Whether it is a letter to a department, which answers in the console and not by mail."""
    return message.purpose.startswith(_UNITS)


def is_automatic(message: OutboundMessage) -> bool:
    """Whether no person wrote it to a citizen; such a mail has no envelope sender."""
    return not is_for_department(message) and (message.automatic or message.purpose == _RECEIPT)


def compose(
    message: OutboundMessage,
    sender: tuple[str, str],
    *,
    answer_to: str | None = None,
    files: Sequence[tuple[FileRef, bytes]] = (),
) -> bytes:
    """The mail as it goes over the wire: the same for the same arguments, always.

    `answer_to` is the address that an answer shall go to, if there is one. SendFailed(FINAL) if the message has no
    address. The text is quoted-printable, because a server that knows no 8BITMIME may not be given anything else.
    Headers are `email.header`'s: the newer API of Python 3.11 drops spaces between words with marks when it folds.
    """
    letter: Letter = Message()
    letter["Message-ID"] = f"<{message_id(message, sender)}>"
    letter["Date"] = format_datetime(moment_of(message.id))  # when it was written, however late it leaves
    letter["From"] = _mailbox("From", sender[0], sender[1])
    letter["To"] = _mailbox("To", message.to.name or "", wire_address(message.to.handle))
    if answer_to is not None:
        letter["Reply-To"] = _mailbox("Reply-To", sender[0], answer_to)
    letter["Subject"] = _words("Subject", _one_line(message.title or message.reference or "1022"))
    for name, value in (_threading(message, sender) | _marks(message)).items():
        letter[name] = value
    letter[LOOP_HEADER] = sender[1].rpartition("@")[2]
    text = _lines(message.text)
    _put_text(letter, f"{CUT_LINE}\n\n{text}" if answer_to is not None else text)
    if files:
        letter = _with_files(letter, message, files)
    flat = BytesIO()
    BytesGenerator(flat, mangle_from_=False, policy=compat32.clone(linesep="\r\n")).flatten(letter)
    return flat.getvalue()


def message_id(message: OutboundMessage, sender: tuple[str, str]) -> str:
    """Our own Message-ID, by which an answer, a bounce or a second copy is known; without brackets, as we read them."""
    return f"{message.id}@{sender[1].rpartition('@')[2]}"


def wire_address(handle: str) -> str:
    """The address as it goes over the wire, its domain in ASCII; SendFailed(FINAL) unless it is one plain address.

    What stands before the @ must be ASCII: few servers take anything else (RFC 6531).
    """
    local, _, domain = handle.strip().rpartition("@")
    try:
        address = f"{local}@{domain.encode('idna').decode()}"
        plain = Mailbox(addr_spec=address).addr_spec == address
    except (ValueError, IndexError, MessageError):  # the parser raises whatever it stumbles over
        plain = False
    if not plain or not (local and domain):
        raise SendFailed(Failure.FINAL, "the address is not an e-mail address")
    return address


def _threading(message: OutboundMessage, sender: tuple[str, str]) -> dict[str, str]:
    """In-Reply-To and References (RFC 5322, 3.6.4): the citizen's last mail, else a mail that never was, of the case.

    The latter lies all mail about one matter together where mail programs go by References. The thread is that of the
    citizen's last mail as it was read, with that mail's own id as `message_id`.
    """
    answered = _ids([message.thread.get("message_id")])
    earlier = _ids(message.thread.get("references") or ()) or _ids([message.thread.get("in_reply_to")])
    chain = list(dict.fromkeys([*earlier, *answered]))
    if not chain and message.reference:
        domain = sender[1].rpartition("@")[2]
        chain = [f"{re.sub(r'[^A-Za-z0-9.-]', '', message.reference)}@{domain}"]
    if not chain:
        return {}
    if len(chain) > MOST_REFERENCES:
        chain = [chain[0], *chain[1 - MOST_REFERENCES :]]
    return {"In-Reply-To": f"<{chain[-1]}>", "References": " ".join(f"<{id}>" for id in chain)}


def _ids(values: Iterable[object]) -> list[str]:
    """Those that are Message-IDs as they may stand in a header, and nothing else; without brackets."""
    found = (_ID.fullmatch(value) for value in values if isinstance(value, str))
    return [each[1] for each in found if each is not None]


def _marks(message: OutboundMessage) -> dict[str, str]:
    """What tells a machine not to answer (RFC 3834); nothing on what a person wrote to a citizen."""
    if is_for_department(message):
        return {"Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All"}
    if not is_automatic(message):
        return {}
    kind = "auto-replied" if message.purpose == _RECEIPT else "auto-generated"
    return {"Auto-Submitted": kind, "X-Auto-Response-Suppress": "All", "Precedence": "bulk"}


def _put_text(part: Letter, text: str) -> None:
    utf8 = Charset("utf-8")
    utf8.body_encoding = QP
    part.set_payload(text, utf8)


def _with_files(letter: Letter, message: OutboundMessage, files: Sequence[tuple[FileRef, bytes]]) -> Letter:
    """The same headers over the text and the files; its boundary is the message's, so that each try is alike."""
    whole: Letter = Message()
    text: Letter = Message()
    for name, value in letter.items():
        (text if name.lower().startswith("content-") else whole)[name] = value
    text.set_payload(letter.get_payload())
    whole["Content-Type"] = f'multipart/mixed; boundary="=_{message.id.hex}"'
    whole.attach(text)
    for file, data in files:
        plain = re.fullmatch(r"[a-z0-9.+-]{1,60}/[a-z0-9.+-]{1,100}", file.media_type)
        part: Letter = Message()
        part["Content-Type"] = file.media_type if plain else "application/octet-stream"
        part["Content-Transfer-Encoding"] = "base64"
        part.add_header("Content-Disposition", "attachment", filename=("utf-8", "", _one_line(file.name)))
        part.set_payload(base64.encodebytes(data).decode())
        whole.attach(part)
    return whole


def _mailbox(header: str, name: str, address: str) -> Header:
    """`name <address>`; a name with anything but letters and spaces is an encoded word, which needs no quoting."""
    name = _one_line(name)
    made = Header(header_name=header)
    if name:
        made.append(name, "us-ascii" if re.fullmatch(r"[A-Za-z0-9 ]+", name) else "utf-8")
    made.append(f"<{address}>" if name else address, "us-ascii")
    return made


def _words(header: str, text: str) -> Header:
    return Header(text, "us-ascii" if text.isascii() else "utf-8", header_name=header)


def _one_line(text: str) -> str:
    """For a header: one line without characters that control anything, and nothing that reads as an encoded word."""
    seen = "".join(" " if char.isspace() else char for char in text)
    return " ".join("".join(char for char in seen if unicodedata.category(char) not in ("Cc", "Cf")).split()).replace(
        "=?", "= ?"
    )[:200]


def _lines(text: str) -> str:
    """For the body: NFC, plain line ends, no control characters."""
    plain = "\n".join(unicodedata.normalize("NFC", text).splitlines())
    return "".join(char for char in plain if char in "\n\t" or unicodedata.category(char) != "Cc") + "\n"
