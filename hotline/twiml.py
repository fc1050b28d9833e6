"""How the acts of a step sound to Twilio: TwiML, as its own library writes it. Pure."""

from collections.abc import Sequence
from typing import Final
from urllib.parse import urljoin

from twilio.twiml.voice_response import Gather as GatherVerb
from twilio.twiml.voice_response import VoiceResponse

from hotline.steps import Act, Gather, Hangup, Look, Play, Record, Redirect, Say

QUIET: Final = 5  # seconds of silence that end a recording


def twiml(acts: Sequence[Act], *, to: str, recordings: str = "") -> str:
    """The document. `to` is the address of the next step, `recordings` that of reports on recordings.

    Both are absolute, as Twilio signs them. ValueError for Look, which is answered before anything is said.
    """
    response = VoiceResponse()
    for act in acts:
        match act:
            case Say() | Play():
                _speak(response, act, to)
            case Gather():
                gather = response.gather(
                    input="dtmf",
                    action=to,
                    method="POST",
                    timeout=act.seconds,
                    num_digits=act.digits,
                    finish_on_key="#" if act.digits is None else "",
                    action_on_empty_result=True,
                )
                for prompt in act.prompts:
                    _speak(gather, prompt, to)
            case Record():
                response.record(
                    action=to,
                    method="POST",
                    timeout=QUIET,
                    max_length=act.longest,
                    finish_on_key="#",
                    play_beep=True,
                    recording_status_callback=recordings or None,
                    recording_status_callback_method="POST" if recordings else None,
                    recording_status_callback_event="completed absent" if recordings else None,
                )
            case Redirect():
                response.redirect(to, method="POST")
            case Hangup():
                response.hangup()
            case Look():
                raise ValueError("a case is looked for before anything is said")
    return str(response)


def _speak(into: VoiceResponse | GatherVerb, act: Say | Play, to: str) -> None:
    """Our own recordings lie beside the address of the next step."""
    if isinstance(act, Play):
        into.play(urljoin(to, act.address))
    else:
        into.say(act.text, language=act.language, voice=act.voice)
