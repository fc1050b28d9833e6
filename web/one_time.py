"""A way in for who lost the tracking key: a code to the phone or mailbox stated in the report, and the key for it."""

from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from pydantic import BaseModel, ConfigDict, Field, model_validator

from cases import citizens, one_time
from cases.codes import read_code, tracking_key
from channels.message import Address
from core import auth
from core.errors import Invalid, NotFound, TooMany
from web.answers import CodeAsked, KeyGiven
from web.bodies import read_body
from web.deps import Here, Now, client_address
from web.docs import PROBLEMS, answers, json_body
from web.following import wrong_tries
from web.problems import language
from web.state import State

router = APIRouter(prefix="/api/v1/reports", tags=["reports"], responses=PROBLEMS)
A_DAY = int(timedelta(days=1).total_seconds())
WINDOWS_A_DAY = 2  # a mailbox or phone gets no more codes a day than twice those of one window


class WhereTo(BaseModel):
    """The phone or the mailbox as it was given with the report; one of them."""

    model_config = ConfigDict(extra="forbid")

    phone: Annotated[str, Field(max_length=40)] | None = None
    email: Annotated[str, Field(max_length=254)] | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> "WhereTo":
        if bool(self.phone and self.phone.strip()) == bool(self.email and self.email.strip()):
            raise ValueError("phone or email is needed, and only one of them")
        return self

    @property
    def address(self) -> Address:
        """In its written form; Invalid when it cannot be one."""
        return address_of(self.phone or "") if self.phone else address_of(self.email or "", where="email")


class CodeIn(WhereTo):
    """The code that came there."""

    otp: Annotated[str, Field(pattern=r"^[0-9]{6}$")]


def address_of(typed: str, *, where: str = "phone") -> Address:
    """A phone number or mail address as people type it; Invalid at `where`."""
    if "@" in typed or where == "email":
        return Address("email", citizens.email_address(typed, where))
    return Address("phone", citizens.phone_number(typed, where))


def ways(here: State) -> tuple[str, ...]:
    """Schemes of the addresses that codes can go to from here."""
    return tuple(scheme for scheme, channel in one_time.BY.items() if channel in here.channels)


async def send_code(
    request: Request, here: State, at: datetime, code: str, to: Address, proof: str | None, *, lang: str
) -> None:
    """Send a code if this address belongs to this report; whoever asks never learns whether it does.

    TooMany with a challenge for who asks often, from one address or about one report; without one above what a phone
    or mailbox is sent, lest it be flooded.
    """
    if to.scheme not in ways(here):
        raise Invalid.at(
            to.scheme,
            "Hiện chưa gửi được mã đến nơi này. Anh/chị vui lòng gọi 1022.",
            "No code can be sent there at present. Please call 1022.",
            "no_channel",
        )
    standard = read_code(code)
    here.codes.check(client_address(request), proof, *([f"report:{standard}"] if standard else []))
    rate, name = here.rates.get("code"), f"code:{to.scheme}:{to.handle}"
    buckets = {f"{name}:window": rate, f"{name}:day": (rate[0] * WINDOWS_A_DAY, A_DAY)} if rate else {}
    async with here.database.transaction() as session:
        try:
            await auth.count_try(session, buckets, at)
        except TooMany as refused:
            raise TooMany(
                "Đã gửi nhiều mã đến nơi này. Anh/chị dùng mã mới nhất, thử lại sau, hoặc gọi 1022.",
                "Many codes were sent there. Use the newest one, try again later, or call 1022.",
                headers=refused.headers,
            ) from None
        await one_time.ask(session, here.key, code, to, at, language=lang)


async def key_for(request: Request, here: State, at: datetime, code: str, to: Address, digits: str) -> tuple[str, str]:
    """Code and tracking key of the report that these digits open; NotFound otherwise, TooMany for too many wrong ones.

    A try is counted before it is answered, at the code itself and, when it was wrong, like that of a wrong key.
    """
    buckets = wrong_tries(request, here, code)
    async with here.database.transaction() as session:
        await auth.refuse_if_throttled(session, buckets, at)
        case = await one_time.redeem(session, here.key, code, to, digits, at)
    if case is not None:
        return case.code, tracking_key(here.key, case.key_of, case.key_version)
    async with here.database.transaction() as counting:
        await auth.count_try(counting, buckets, at)
    raise NotFound(
        "Mã này không đúng, đã dùng hoặc đã hết hạn. Anh/chị xem lại, hoặc xin mã mới.",
        "This code is wrong, used or too old. Look again, or ask for a new one.",
    )


@router.post(
    "/{code}/otp",
    status_code=202,
    response_model=None,
    responses=answers(CodeAsked, 202, "A code is on its way, if the address belongs to the report"),
    openapi_extra={"requestBody": {"required": True, "content": json_body(WhereTo)}},
)
async def ask_for_code(
    request: Request,
    here: Here,
    at: Now,
    code: str,
    altcha: Annotated[str | None, Header(max_length=2000, description="Solution of a proof of work asked for")] = None,
) -> dict[str, Any]:
    """Have a one-time code sent to the phone or mailbox given with the report. The answer is always the same."""
    given, _ = await read_body(request, WhereTo)
    await send_code(request, here, at, code, given.address, altcha, lang=language(request))
    return {"expires_in": int(one_time.LASTS.total_seconds())}


@router.post(
    "/{code}/otp/verify",
    response_model=None,
    responses=answers(KeyGiven, description="The key"),
    openapi_extra={"requestBody": {"required": True, "content": json_body(CodeIn)}},
)
async def give_key(request: Request, here: Here, at: Now, code: str) -> dict[str, Any]:
    """The tracking key for a one-time code. It works once, for ten minutes, and five tries."""
    given, _ = await read_body(request, CodeIn)
    standard, key = await key_for(request, here, at, code, given.address, given.otp)
    return {"code": standard, "tracking_key": key}
