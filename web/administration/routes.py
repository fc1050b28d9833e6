"""All of the administration's routes."""

from fastapi import APIRouter

from web.administration import areas, calendars, departments, fields, rule_sets, staff

router = APIRouter()
for part in (staff, departments, fields, areas, calendars, rule_sets):
    router.include_router(part.router)
