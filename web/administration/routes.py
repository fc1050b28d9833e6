"""All of the administration's routes."""

from fastapi import APIRouter

from web.administration import areas, calendars, channels, departments, fields, rule_sets, staff, wording

router = APIRouter()
for part in (staff, departments, fields, areas, calendars, rule_sets, wording, channels):
    router.include_router(part.router)
