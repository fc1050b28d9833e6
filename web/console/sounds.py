"""A recording as a page shows it: a player where there is a sound to play, plain words where there is none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from core.staff import Actor
from hotline.listening import WITH_US
from hotline.models import Recording
from web.rendering import Viewer


@dataclass(frozen=True, slots=True)
class Sound:
    """`url` of the sound, or `told`, why there is none to be heard."""

    length: str  # 0:42, or empty where the carrier did not say
    url: str = ""
    told: str = ""


def sound_of(recording: Recording, who: Actor, view: Viewer) -> Sound:
    """How this person finds a recording."""
    length = "" if recording.duration is None else f"{recording.duration // 60}:{recording.duration % 60:02d}"
    if not who.may("recordings.play"):
        return Sound(length, told=view.say("Tài khoản của anh/chị không được nghe bản ghi."))
    if recording.state in WITH_US:
        return Sound(length, url=f"/api/v1/recordings/{recording.id}")
    return Sound(length, told=_why_not(recording.state, view))


def sounds_by_line(
    recordings: Sequence[Recording], who: Actor, view: Viewer
) -> Mapping[UUID | None, tuple[Sound, ...]]:
    """Those of a case, by the line they hang at."""
    found: dict[UUID | None, tuple[Sound, ...]] = {}
    for each in recordings:
        found[each.entry_id] = (*found.get(each.entry_id, ()), sound_of(each, who, view))
    return found


def _why_not(state: str, view: Viewer) -> str:
    match state:
        case "announced":
            return view.say("Bản ghi đang được chép về, xin chờ ít phút.")
        case "lost":
            return view.say("Nhà mạng không còn bản ghi này.")
        case "expired":
            return view.say("Bản ghi đã hết thời gian lưu và đã được xóa.")
        case "short":
            return view.say("Bản ghi quá ngắn nên không được lưu.")
    return view.say("Cuộc gọi này không có bản ghi.")
