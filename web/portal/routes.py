"""All pages of the citizen."""

from fastapi import APIRouter

from web.portal import follow, published, report

router = APIRouter()
for part in (report, follow, published):
    router.include_router(part.router)
