"""An emergency is told to those who come at once; the case stays with us, on a clock of its own."""

from cases.bodies import HandOver
from cases.desk import Desk, action
from cases.states import Action


@action(Action.HAND_OVER, HandOver)
async def hand_over(desk: Desk, given: HandOver) -> None:
    """113, 114 or 115 has the emergency. The centre's clock is met by that and starts again from this moment, once:
    what is left of the matter is still to be forwarded."""
    case, centre = desk.case, desk.routing.directory.centre
    if case.handed_over_at is None and desk.clocks.find("forward", centre) is not None:
        desk.clocks.meet("forward", centre)
        await desk.session.flush()  # the old clock is over before the new one of the same stage is there
        desk.open_forward()
    case.handed_over_to, case.handed_over_at = given.to, desk.at
    spoke = f" ({given.spoke_with})" if given.spoke_with else ""
    desk.write("note", f"Bàn giao {given.to}{spoke}: {given.text}")
    desk.data["destination"] = given.to
