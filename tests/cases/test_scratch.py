import time
from tests.factories import *
from tests import factories

async def test_every_status(app, client, as_, drive):
    for status in ("received", *factories.ROAD):
        t=time.perf_counter()
        code, key = await a_report(client)
        await drive(code, status)
        c=(await as_("supervisor").get(f"/api/v1/cases/{code}")).json()
        print(status, c["status"], round(time.perf_counter()-t,3))
        assert c["status"]==status
    await settle(app)
    assert await limit_differences(app)==[]
