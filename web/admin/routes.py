"""All of the administration's pages, and the own account."""

from fastapi import APIRouter

from web.admin import (
    account,
    areas,
    calendars,
    channels,
    departments,
    duty,
    events,
    fields,
    overview,
    reforms,
    rule_desk,
    rules,
    simulate,
    staff,
    wording,
)

router = APIRouter()
for part in (
    overview,
    staff,
    departments,
    fields,
    areas,
    reforms,
    calendars,
    duty,
    rules,
    simulate,
    wording,
    channels,
    events,
    account,
):
    router.include_router(part.router)
router.include_router(rule_desk.router)
