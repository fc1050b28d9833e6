"""Proof that the figures are right: computed again from the journal in SQL, and compared with the tables of cases.

Nothing here calls `ioc.contributions.contributions`: an error there must not excuse itself. Each comparison is one
statement, hence one snapshot; the stamp it leaves is shown with every aggregate.
"""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import String, bindparam, text
from sqlmodel.ext.asyncio.session import AsyncSession

from ioc.definitions import ALL, LISTED, LISTED_FAMILY, SPLIT_BY_MONTH


@dataclass(frozen=True, slots=True)
class Difference:
    """Two counts that should be equal: `expected` by the journal, `found` in the table that `check` speaks of."""

    check: str  # figures | months | lists | cases | status | restricted | limits
    where: dict[str, str]
    expected: int
    found: int

    def __str__(self) -> str:
        place = " ".join(f"{name}={value}" for name, value in self.where.items())
        return f"{self.check}: {place}: expected {self.expected}, found {self.found}"

    def as_dict(self) -> dict[str, Any]:
        """The difference's JSON form."""
        return asdict(self)


async def reconcile(session: AsyncSession, zone: ZoneInfo, at: datetime) -> list[Difference]:
    """All differences, none when everything agrees; leaves the stamp (time, position, how many) on the cursor."""
    found: list[Difference] = []
    for check, statement in _CHECKS.items():
        rows = (await session.execute(statement, {"zone": zone.key})).mappings()
        found += [
            Difference(
                check,
                {name: str(value) for name, value in row.items() if name not in ("expected", "found")},
                row["expected"],
                row["found"],
            )
            for row in rows
        ]
    await session.execute(
        text(
            "UPDATE figure_cursor SET reconciled_at = :at, reconciled_position = position, differences = :count "
            "WHERE id = 1"
        ),
        {"at": at, "count": len(found)},
    )
    return found


# Which rows count, said once more: after the last marker those not restricted, before it those it restored.
_COUNTED = """
    told AS (
        SELECT p.position, j.id, j.case_id, j.kind, j.occurred_at, j.restricted, j.data,
               j.kind IN ('case.withdrawn', 'case.restored') AS marker
        FROM journal j {positions}
        WHERE j.case_id IS NOT NULL
        AND (j.kind IN ('case.withdrawn', 'case.restored')
             OR ((j.kind LIKE 'case.%' OR j.kind LIKE 'limit.%') AND j.data ? 'dims'))
    ),
    marks AS (
        SELECT DISTINCT ON (case_id) case_id, position, kind FROM told WHERE marker ORDER BY case_id, position DESC
    ),
    chain AS (
        SELECT *, lag(data -> 'dims') OVER (PARTITION BY case_id ORDER BY position) AS was FROM told WHERE NOT marker
    ),
    counted AS (
        SELECT chain.* FROM chain LEFT JOIN marks USING (case_id)
        WHERE CASE WHEN marks.position IS NULL OR chain.position > marks.position THEN NOT chain.restricted
                   ELSE marks.kind = 'case.restored' END
    )
"""
_NUMBERED = _COUNTED.format(
    positions="JOIN journal_positions p ON p.journal_id = j.id "
    "AND p.position <= (SELECT position FROM figure_cursor WHERE id = 1)"
)
# The tables of cases are ahead of the numbering, so they are held against every row there is.
_ALL = _COUNTED.format(positions="CROSS JOIN LATERAL (SELECT j.id AS position) p")

_FIGURES = f"""
    WITH {_NUMBERED},
    acts AS (
        SELECT kind, data, data -> 'dims' AS dims, coalesce(was, data -> 'dims') AS was, was IS NULL AS first,
               CAST(occurred_at AT TIME ZONE :zone AS date) AS day,
               CAST(CAST(data ->> 'received_at' AS timestamptz) AT TIME ZONE :zone AS date) AS received_day,
               coalesce(data ->> 'from', '') IN ('received', 'forwarded', 'in_progress', 'waiting_citizen', 'answered')
                   AS was_open,
               coalesce(data ->> 'to', '') IN ('received', 'forwarded', 'in_progress', 'waiting_citizen', 'answered')
                   AS is_open,
               greatest(extract(epoch FROM occurred_at - CAST(data ->> 'received_at' AS timestamptz)), 1) AS seconds
        FROM counted WHERE kind LIKE 'case.%'
    ),
    names (kind, figure, sign) AS (VALUES
        ('case.answer_directly', 'answered_first_contact', 1), ('case.forward', 'forwarded', 1),
        ('case.reply', 'replied', 1), ('case.refuse', 'refused', 1), ('case.redirect', 'redirected', 1),
        ('case.merge', 'merged', 1), ('case.mark_spam', 'spam', 1), ('case.unmark_spam', 'spam', -1),
        ('case.reopen', 'reopened', 1), ('case.request_extension', 'extensions_requested', 1),
        ('case.grant_extension', 'extensions_granted', 1), ('case.deny_extension', 'extensions_denied', 1),
        ('case.chase', 'chased', 1)
    ),
    ops AS (
        SELECT op, op ->> 'op' AS name, op ->> 'stage' AS stage,
               data -> 'dims' || jsonb_build_object('department', op ->> 'holder') AS dims,
               CAST(occurred_at AT TIME ZONE :zone AS date) AS day,
               CAST(CAST(op ->> 'due_at' AS timestamptz) AT TIME ZONE :zone AS date) AS due_day,
               CASE op ->> 'op' WHEN 'met' THEN 1 WHEN 'reopened' THEN -1 END AS sign,
               CAST(coalesce(op ->> 'met_at', op ->> 'at') AS timestamptz) AS met_at
        FROM counted, jsonb_array_elements(data -> 'limits') op
    ),
    met AS (
        SELECT *, CAST(met_at AT TIME ZONE :zone AS date) AS met_day,
               coalesce(CAST(op ->> 'breached' AS boolean), met_at > CAST(op ->> 'due_at' AS timestamptz)) AS late
        FROM ops WHERE sign IS NOT NULL
    ),
    recounted AS (
        SELECT stage, day, sign, CAST(op ->> 'breached' AS boolean) AS late,
               CASE WHEN CAST(op ->> 'was_breached' AS boolean) AND (sign = -1 OR CAST(op ->> 'breached' AS boolean))
                    THEN coalesce(nullif(op -> 'charged', 'null'), dims) ELSE dims END AS dims,
               CAST(op ->> 'was_breached' AS boolean) AS was_late,
               CAST(op ->> CASE sign WHEN 1 THEN 'breached' ELSE 'was_breached' END AS boolean) AS now_late,
               CAST(CAST(op ->> CASE sign WHEN 1 THEN 'due_at' ELSE 'was' END AS timestamptz)
                    AT TIME ZONE :zone AS date) AS due_day,
               CAST(CAST(op ->> 'met_at' AS timestamptz) AT TIME ZONE :zone AS date) AS met_day,
               CAST(CAST(op ->> 'told_at' AS timestamptz) AT TIME ZONE :zone AS date) AS told_day
        FROM (SELECT op, stage, dims, day FROM ops WHERE name = 'recounted') each, (VALUES (-1), (1)) signs (sign)
    ),
    parts (figure, day, dims, bucket, value) AS (
        SELECT 'received', received_day, dims, 0, 1 FROM acts WHERE kind = 'case.open'
        UNION ALL SELECT 'received', received_day, was, 0, -1 FROM acts WHERE NOT first AND was <> dims
        UNION ALL SELECT 'received', received_day, dims, 0, 1 FROM acts WHERE NOT first AND was <> dims
        UNION ALL SELECT 'open', day, was, 0, -1 FROM acts WHERE was_open
        UNION ALL SELECT 'open', day, dims, 0, 1 FROM acts WHERE is_open
        UNION ALL SELECT 'opened', day, dims, 0, 1 FROM acts WHERE is_open AND NOT was_open
        UNION ALL SELECT 'ended', day, dims, 0, 1 FROM acts WHERE was_open AND NOT is_open
        UNION ALL SELECT 'closed', day, dims, 0, 1 FROM acts
            WHERE data ->> 'to' = 'closed' AND data ->> 'from' IS DISTINCT FROM 'closed'
        UNION ALL SELECT figure, day, dims, 0, sign FROM acts JOIN names USING (kind)
        UNION ALL SELECT 'refused.' || (data ->> 'reason_code'), day, dims, 0, 1 FROM acts WHERE kind = 'case.refuse'
        UNION ALL SELECT 'give_backs', day, dims || jsonb_build_object('department', data ->> 'department'), 0, 1
            FROM acts WHERE kind = 'case.give_back'
        UNION ALL SELECT 'extensions_beyond', day, dims, 0, 1 FROM acts
            WHERE kind = 'case.grant_extension' AND CAST(data ->> 'beyond' AS boolean)
        UNION ALL SELECT CASE kind WHEN 'case.forward' THEN 'forward_time' ELSE 'resolution' END,
            day, dims, CAST(floor(8 * ln(seconds)) AS int), 1 FROM acts WHERE kind IN ('case.forward', 'case.reply')
        UNION ALL SELECT 'first_response', day, dims, CAST(floor(8 * ln(seconds)) AS int), 1 FROM acts
            WHERE CAST(data ->> 'first_response' AS boolean)
        UNION ALL SELECT 'ratings', day, dims, 0, 1 FROM acts WHERE kind = 'case.rate' AND data ->> 'previous' IS NULL
        UNION ALL SELECT 'rating_sum', day, dims, 0,
            CAST(data ->> 'rating' AS int) - coalesce(CAST(data ->> 'previous' AS int), 0)
            FROM acts WHERE kind = 'case.rate'
        UNION ALL SELECT 'ratings_good', day, dims, 0,
            CAST(CAST(data ->> 'rating' AS int) >= 4 AS int)
            - CAST(coalesce(CAST(data ->> 'previous' AS int), 0) >= 4 AS int)
            FROM acts WHERE kind = 'case.rate'
        UNION ALL SELECT 'breached.' || stage, day, dims, 0, 1 FROM ops WHERE name = 'breached'
        UNION ALL SELECT 'due.' || stage, due_day, dims, 0, 1 FROM ops WHERE name = 'breached'
        UNION ALL SELECT 'due.' || stage, due_day, dims, 0, sign FROM met WHERE NOT late
        UNION ALL SELECT 'due_met.' || stage, due_day, dims, 0, sign FROM met WHERE NOT late
        UNION ALL SELECT 'due_met_extended.' || stage, due_day, dims, 0, sign FROM met
            WHERE NOT late AND CAST(op ->> 'extended' AS boolean)
        UNION ALL SELECT 'due.' || stage, due_day, dims, 0, sign FROM recounted WHERE now_late OR met_day IS NOT NULL
        UNION ALL SELECT 'due_met.' || stage, due_day, dims, 0, sign FROM recounted
            WHERE NOT now_late AND met_day IS NOT NULL
        UNION ALL SELECT 'met_in_time.' || stage, met_day, dims, 0, sign FROM recounted
            WHERE NOT now_late AND met_day IS NOT NULL
        UNION ALL SELECT 'breached.' || stage, told_day, dims, 0, -1 FROM recounted
            WHERE sign = -1 AND was_late AND NOT late
        UNION ALL SELECT 'breached.' || stage, day, dims, 0, 1 FROM recounted
            WHERE sign = 1 AND late AND NOT was_late
        UNION ALL SELECT 'met.' || stage, met_day, dims, 0, sign FROM met
        UNION ALL SELECT 'met_in_time.' || stage, met_day, dims, 0, sign FROM met WHERE NOT late
    ),
    recomputed AS (
        SELECT figure, day, dims ->> 'department' AS department, dims ->> 'field' AS field,
               dims ->> 'channel' AS channel, dims ->> 'area' AS area, bucket, CAST(sum(value) AS bigint) AS value
        FROM parts GROUP BY 1, 2, 3, 4, 5, 6, 7
    )
    SELECT figure, day, department, field, channel, area, bucket,
           coalesce(recomputed.value, 0) AS expected, coalesce(figures.value, 0) AS found
    FROM recomputed FULL JOIN figures USING (figure, day, department, field, channel, area, bucket)
    WHERE coalesce(recomputed.value, 0) <> coalesce(figures.value, 0)
    ORDER BY 1, 2, 3, 4, 5, 6, 7
"""  # noqa: S608 - constants of this module

# The sums by month and the lists behind the figures say what the sums by day say.
_SIDES = ("department", "field", "channel", "area")
_SPLITS = " OR ".join(
    ["department IS NULL AND field IS NULL AND channel IS NULL AND area IS NULL"]
    + [f"{name} IS NOT NULL AND figure = ANY(:{name})" for name in _SIDES]
)
_MONTHS = f"""
    WITH summed AS (
        SELECT figure, CAST(date_trunc('month', day) AS date) AS day, department, field, channel, area, bucket,
               CAST(sum(value) AS bigint) AS value
        FROM figures
        GROUP BY GROUPING SETS ((1, 2, bucket), (1, 2, bucket, department), (1, 2, bucket, field),
                                (1, 2, bucket, channel), (1, 2, bucket, area))
    ),
    kept AS (
        SELECT figure, day, coalesce(department, :all) AS department, coalesce(field, :all) AS field,
               coalesce(channel, :all) AS channel, coalesce(area, :all) AS area, bucket, value
        FROM summed WHERE {_SPLITS}
    )
    SELECT figure, day AS month, department, field, channel, area, bucket,
           coalesce(kept.value, 0) AS expected, coalesce(figure_months.value, 0) AS found
    FROM kept FULL JOIN figure_months USING (figure, day, department, field, channel, area, bucket)
    WHERE coalesce(kept.value, 0) <> coalesce(figure_months.value, 0)
    ORDER BY 1, 2, 3, 4, 5, 6, 7
"""  # noqa: S608 - constants of this module
_LISTS = """
    WITH summed AS (
        SELECT figure, day, department, field, channel, area, CAST(sum(value) AS bigint) AS value
        FROM figures WHERE figure = ANY(:listed) OR figure LIKE :family GROUP BY 1, 2, 3, 4, 5, 6
    ),
    behind AS (
        SELECT figure, day, department, field, channel, area, CAST(sum(value) AS bigint) AS value
        FROM figure_cases GROUP BY 1, 2, 3, 4, 5, 6
    )
    SELECT figure, day, department, field, channel, area,
           coalesce(summed.value, 0) AS expected, coalesce(behind.value, 0) AS found
    FROM summed FULL JOIN behind USING (figure, day, department, field, channel, area)
    WHERE coalesce(summed.value, 0) <> coalesce(behind.value, 0)
    ORDER BY 1, 2, 3, 4, 5, 6
"""

_CASES = """
    WITH opened AS (
        SELECT data -> 'dims' ->> 'channel' AS channel,
               CAST(CAST(data ->> 'received_at' AS timestamptz) AT TIME ZONE :zone AS date) AS day, count(*) AS n
        FROM journal WHERE kind = 'case.open' GROUP BY 1, 2
    ),
    kept AS (
        SELECT channel, CAST(received_at AT TIME ZONE :zone AS date) AS day, count(*) AS n FROM cases GROUP BY 1, 2
    )
    SELECT channel, day, coalesce(opened.n, 0) AS expected, coalesce(kept.n, 0) AS found
    FROM opened FULL JOIN kept USING (channel, day) WHERE opened.n IS DISTINCT FROM kept.n ORDER BY 2, 1
"""

# What the journal says last of each case, against its row.
_STATUS = """
    WITH last AS (
        SELECT DISTINCT ON (case_id) case_id, data ->> 'to' AS status,
               data -> 'dims' ->> 'field' AS field, data -> 'dims' ->> 'area' AS area
        FROM journal WHERE kind LIKE 'case.%' AND data ? 'dims' AND kind NOT IN ('case.withdrawn', 'case.restored')
        ORDER BY case_id, id DESC
    )
    SELECT cases.restricted, cases.status, coalesce(last.status, 'absent') AS journal_status,
           0 AS expected, count(*) AS found
    FROM cases LEFT JOIN last ON last.case_id = cases.id
    WHERE (last.status, last.field, last.area)
        IS DISTINCT FROM (cases.status, coalesce(cases.field, ''), coalesce(cases.area, ''))
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""

# A restricted case has no row that counts, another no row that does not: else a marker is missing.
_RESTRICTED = f"""
    WITH {_ALL},
    sums AS (
        SELECT cases.restricted, count(*) AS told, count(counted.id) AS counted
        FROM chain JOIN cases ON cases.id = chain.case_id LEFT JOIN counted ON counted.id = chain.id GROUP BY 1
    )
    SELECT restricted, CASE WHEN restricted THEN 0 ELSE told END AS expected, counted AS found
    FROM sums WHERE counted <> CASE WHEN restricted THEN 0 ELSE told END
"""  # noqa: S608 - constants of this module

# Limits by what became of them: the last op of each in the journal against its row.
_LIMITS = """
    WITH ops AS (
        SELECT op ->> 'id' AS id, op ->> 'stage' AS stage, op ->> 'op' AS name, j.id AS row, n,
               op ->> 'op' = 'breached' OR CAST(op ->> 'breached' AS boolean) AS breached
        FROM journal j, jsonb_array_elements(j.data -> 'limits') WITH ORDINALITY o (op, n)
        WHERE (j.kind LIKE 'case.%' OR j.kind LIKE 'limit.%') AND jsonb_typeof(j.data -> 'limits') = 'array'
    ),
    last AS (
        SELECT DISTINCT ON (id) id, stage,
               CASE name WHEN 'met' THEN 'met' WHEN 'cancelled' THEN 'cancelled' ELSE 'open' END AS state
        FROM ops WHERE name IN ('opened', 'met', 'cancelled', 'reopened') ORDER BY id, row DESC, n DESC
    ),
    late AS (
        SELECT DISTINCT ON (id) id, breached FROM ops WHERE name IN ('breached', 'recounted')
        ORDER BY id, row DESC, n DESC
    ),
    said AS (
        SELECT stage, state, coalesce(breached, false) AS breached, count(*) AS n FROM last LEFT JOIN late USING (id)
        GROUP BY 1, 2, 3
    ),
    kept AS (
        SELECT stage, CASE WHEN met_at IS NOT NULL THEN 'met' WHEN cancelled_at IS NOT NULL THEN 'cancelled'
                           ELSE 'open' END AS state,
               breached_at IS NOT NULL AS breached, count(*) AS n
        FROM limits GROUP BY 1, 2, 3
    )
    SELECT stage, state, breached, coalesce(said.n, 0) AS expected, coalesce(kept.n, 0) AS found
    FROM said FULL JOIN kept USING (stage, state, breached) WHERE said.n IS DISTINCT FROM kept.n ORDER BY 1, 2, 3
"""

_CHECKS = {
    "figures": text(_FIGURES),
    "months": text(_MONTHS).bindparams(
        bindparam("all", ALL, String), **{name: list(split) for name, split in SPLIT_BY_MONTH.items()}
    ),
    "lists": text(_LISTS).bindparams(listed=sorted(LISTED), family=f"{LISTED_FAMILY}%"),
    "cases": text(_CASES),
    "status": text(_STATUS),
    "restricted": text(_RESTRICTED),
    "limits": text(_LIMITS),
}
