"""The validated echo route: the framework's own cost of taking a report and answering a receipt, with nothing between.

python -m bench.echo --port 8100
"""

import argparse

from fastapi import FastAPI

from core.settings import Settings
from web.reports import Receipt, ReportIn
from web.serving import serve

app = FastAPI()
LIMIT = {
    "stage": "forward",
    "clock": "working",
    "holder": "trung-tam-1022",
    "opened_at": "2026-03-02T08:00:00.123456+07:00",
    "due_at": "2026-03-02T10:00:00.123456+07:00",
    "met_at": None,
    "breached_at": None,
}


@app.post("/api/v1/reports", status_code=201, response_model=Receipt)
async def echo(given: ReportIn) -> Receipt:
    """What a receipt looks like, for a report that fits."""
    return Receipt(
        code=f"BP-26-{len(given.text):07d}",
        tracking_key="K7M2QX",
        status="received",
        received_at="2026-03-02T08:00:00.123456+07:00",
        promised_at="2026-03-09T08:00:00.123456+07:00",
        limits=[LIMIT],
    )


def main() -> None:
    """Serve it as the product is served."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    serve(app, Settings(), "127.0.0.1", parser.parse_args().port)


if __name__ == "__main__":
    main()
