"""All pages of the citizen."""

from fastapi import APIRouter

from web.portal import follow, lost, published, report

router = APIRouter()
for part in (report, lost, follow, published):  # lost first, or /track/{code} would take its place
    router.include_router(part.router)
