"""Reports per address: above the threshold a proof of work is asked for, never refused outright (carriers share
addresses). Kept in memory by each process: a guess, not a guarantee, and intake needs no statement for it.
"""

import base64
import json
import time
from collections import OrderedDict
from datetime import UTC, datetime, timedelta
from typing import Any

from altcha import v1 as altcha

from core.errors import TooMany

MOST_ADDRESSES = 50_000
COST = 100_000  # SHA-256 rounds a slow phone finds in a few seconds


class ReportThrottle:
    """Sliding count of reports per address, and the proofs of work already used."""

    def __init__(self, rate: tuple[int, int] | None, key: bytes) -> None:
        self._rate = rate
        self._key = key.hex()
        self._seen: OrderedDict[str, list[float]] = OrderedDict()
        self._used: OrderedDict[str, float] = OrderedDict()

    def check(self, address: str, proof: str | None) -> None:
        """Count one report; TooMany with a challenge when it is one too many and brings no valid proof."""
        if self._rate is None:
            return
        most, seconds = self._rate
        now = time.monotonic()
        times = self._seen.setdefault(address, [])
        self._seen.move_to_end(address)
        while times and times[0] <= now - seconds:
            times.pop(0)
        if len(times) < most:
            times.append(now)
            while len(self._seen) > MOST_ADDRESSES:
                self._seen.popitem(last=False)
            return
        if proof is not None and self._proves(proof, now):
            return
        wait = int((times[0] if times else now) + seconds - now) + 1
        raise TooMany(
            "Có quá nhiều phản ánh từ mạng này. Thiết bị cần giải một phép tính ngắn rồi gửi lại.",
            "Many reports come from this network. Solve the challenge and send again with the header Altcha.",
            headers={"Retry-After": str(wait)},
            challenge=self._challenge(),
        )

    def _challenge(self) -> dict[str, Any]:
        options = altcha.ChallengeOptions(
            algorithm="SHA-256",
            max_number=COST,
            hmac_key=self._key,
            expires=datetime.now(UTC) + timedelta(minutes=10),
        )
        return altcha.create_challenge(options).to_dict()

    def _proves(self, proof: str, now: float) -> bool:
        try:
            valid, _ = altcha.verify_solution(proof, self._key, check_expires=True)
            solved = str(json.loads(base64.b64decode(proof))["challenge"])
        except Exception:
            return False
        while self._used and next(iter(self._used.values())) <= now - 900:
            self._used.popitem(last=False)
        if not valid or solved in self._used:
            return False
        self._used[solved] = now
        return True
