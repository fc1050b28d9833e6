"""All of the administration's pages, and the own account."""

from fastapi import APIRouter

from web.admin import account, areas, calendars, departments, fields, overview, rules, staff

router = APIRouter()
for part in (overview, staff, departments, fields, areas, calendars, rules, account):
    router.include_router(part.router)
