"""Reports, and wishes for one-time codes, per address: above the threshold a proof of work is asked for, never refused
outright (carriers share addresses). Kept in memory by each process: a guess, not a guarantee, and intake needs no
statement for it.
"""

import base64
import json
import time
from collections import OrderedDict
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from altcha import v1 as altcha

from core.errors import TooMany

MOST_ADDRESSES = 50_000
COST = 100_000  # SHA-256 rounds a slow phone finds in a few seconds

REPORTS: Final = (
    "Có quá nhiều phản ánh từ mạng này. Thiết bị cần giải một phép tính ngắn rồi gửi lại.",
    "Many reports come from this network. Solve the challenge and send again with the header Altcha.",
)
CODES: Final = (
    "Có quá nhiều lần xin mã. Thiết bị cần giải một phép tính ngắn rồi gửi lại.",
    "Codes were asked for too often. Solve the challenge and send again with the header Altcha.",
)


class ReportThrottle:
    """Sliding count per address, and the proofs of work already used; `told` is what is said above the rate."""

    def __init__(self, rate: tuple[int, int] | None, key: bytes, told: tuple[str, str] = REPORTS) -> None:
        self._rate = rate
        self._told = told
        self._key = key.hex()
        self._seen: OrderedDict[str, list[float]] = OrderedDict()
        self._used: OrderedDict[str, float] = OrderedDict()

    def check(self, address: str, proof: str | None, *also: str) -> None:
        """Count one more for this address, and whatever `also` names.

        TooMany with a challenge when it is one too many for any of them and brings no valid proof.
        """
        if self._rate is None:
            return
        most, seconds = self._rate
        now = time.monotonic()
        counts = [self._recent(name, now - seconds) for name in (address, *also)]
        full = [times for times in counts if len(times) >= most]
        if not full:
            for times in counts:
                times.append(now)
            while len(self._seen) > MOST_ADDRESSES:
                self._seen.popitem(last=False)
            return
        if proof is not None and self._proves(proof, now):
            return
        wait = int(max(times[0] if times else now for times in full) + seconds - now) + 1
        raise TooMany(*self._told, headers={"Retry-After": str(wait)}, challenge=self._challenge())

    def _recent(self, name: str, since: float) -> list[float]:
        times = self._seen.setdefault(name, [])
        self._seen.move_to_end(name)
        while times and times[0] <= since:
            times.pop(0)
        return times

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
