"""One message of ours as the vendor messages it takes: long texts in pieces, files by themselves. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from channels.message import Capabilities, FileRef, OutboundMessage

_LEFT_OUT = "Tệp kèm theo ({names}) xem tại trang theo dõi phản ánh{where}"
_BREAKS = ("\n\n", "\n", ". ", "; ", ", ", " ")


def parts_of(message: OutboundMessage, can: Capabilities) -> list[OutboundMessage]:
    """The parts in order, numbered from 0; always the same for the same message, so that sending can go on later.

    Files the channel does not take are named in the text: they stand on the tracking page.
    """
    once = any(message.thread.get(member) for member in can.once_in)
    taken = [] if once else [file for file in message.attachments if _takes(can, file)]
    left = [file for file in message.attachments if file not in taken]
    text = message.text
    if left:
        text = f"{text}\n\n{left_out(left, message.link)}"
    if once and can.max_text:
        text = _shortened(text, can.max_text, message.link)
    pieces = cut(text, can.max_text) if can.max_text else [text]
    if can.whole:
        made = [replace(message, text=piece, attachments=()) for piece in pieces]
        made[-1] = replace(made[-1], attachments=tuple(taken))
    else:
        made = [replace(message, text=piece, attachments=()) for piece in pieces if piece or not taken]
        made += [replace(message, text="", attachments=(file,)) for file in taken]
    return [replace(each, part=number) for number, each in enumerate(made)]


def left_out(files: Sequence[FileRef], link: str | None) -> str:
    """Where files are read that do not travel with a message."""
    names = ", ".join(file.name for file in files)
    return _LEFT_OUT.format(names=names, where=f": {link}" if link else ".")


def cut(text: str, most: int) -> list[str]:
    """The text in pieces of at most `most` characters, cut between paragraphs, sentences or words where it can be."""
    pieces, text = [], text.strip()
    while len(text) > most:
        window = text[: most + 1]
        at = next((found for mark in _BREAKS if (found := window.rfind(mark)) >= most // 2), None)
        at = most if at is None else min(at + (1 if window[at] in ".;," else 0), most)
        pieces.append(text[:at].rstrip())
        text = text[at:].lstrip()
    return [*pieces, text] if text or not pieces else pieces


def _shortened(text: str, most: int, link: str | None) -> str:
    """The beginning of a text that is too long, and where the rest stands."""
    rest = f"… (xem tiếp: {link})" if link else "…"
    return text if len(text) <= most else cut(text, most - len(rest))[0] + rest


def _takes(can: Capabilities, file: FileRef) -> bool:
    if file.media_type not in can.media_types:
        return False
    return can.max_file is None or file.size is None or file.size <= can.max_file
