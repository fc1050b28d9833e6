"""The statement that opens cases: rows in every table, and none where the key was used before.

One text, filled in for one report, whose members are the arguments, and for several, whose members are arrays: a
statement makes ready every table and index it writes to, which for a single case costs as much as its rows. Written as
SQL because the ORM costs many times the processor time (docs/decisions); this is its one place.
"""

from collections.abc import Sequence
from typing import Any, Final

# Name and type of each argument, in the order in which intake gives them.
_MEMBERS: Final = {
    "received_id": "uuid",
    "channel": "varchar",
    "account": "varchar",
    "key": "varchar",
    "at": "timestamptz",
    "raw": "varchar",
    "fingerprint": "bytea",
    "case_id": "uuid",
    "answer": "jsonb",
    "scheme": "varchar",
    "handle": "varchar",
    "identity_id": "uuid",
    "citizen_id": "uuid",
    "by_identity": "bool",  # whether the identity says which citizen it is, a new one if nobody has it
    "email": "varchar",  # stated beside another identity
    "email_id": "uuid",
    "code": "varchar",
    "track": "varchar",
    "restricted": "bool",
    "urgency": "varchar",
    "kind": "varchar",
    "mode": "varchar",
    "contact": "jsonb",
    "text": "varchar",
    "field": "varchar",
    "area": "varchar",
    "area_candidates": "jsonb",
    "lat": "float8",
    "lng": "float8",
    "address": "varchar",
    "rule_set_id": "uuid",
    "decision": "jsonb",
    "promised_at": "timestamptz",
    "public": "bool",
    "entry_id": "uuid",
    "actor_kind": "varchar",
    "actor_id": "uuid",
    "limit_id": "uuid",
    "holder": "varchar",
    "clock": "varchar",
    "amount": "int4",
    "unit": "varchar",
    "calendar": "varchar",
    "due_at": "timestamptz",
    "next_at": "timestamptz",
    "receipt_id": "uuid",
    "receipt": "varchar",
    "journal": "jsonb",
    "key_of": "uuid",
    "receipt_scheme": "varchar",
    "receipt_handle": "varchar",
    "language": "varchar",
    "title": "varchar",
    "suggested_track": "varchar",
}
_FILES: Final = {
    "file_ids": "uuid[]",
    "names": "text[]",
    "media_types": "text[]",
    "sizes": "int[]",
    "sha256s": "text[]",
    "original_sha256s": "text[]",
    "widths": "int[]",
    "heights": "int[]",
    "split_from": "uuid",
}
_PLACES: Final = {name: place for place, name in enumerate(_MEMBERS)}
_CASE_ID, _IDENTITY = _PLACES["case_id"], slice(_PLACES["scheme"], _PLACES["handle"] + 1)

Arguments = Sequence[Any]


def case_of(arguments: Arguments) -> Any:
    """The id of the case they open."""
    return arguments[_CASE_ID]


def identity_of(arguments: Arguments) -> tuple[str, str] | tuple[None, None]:
    """Scheme and handle of who reports."""
    return tuple(arguments[_IDENTITY])


# The raw row of the report; that of a vendor's event is there already and becomes this case's.
_RAW = """
INSERT INTO received (id, channel, account, external_id, received_at, raw, fingerprint, subject_id, answer)
SELECT {received_id}, {channel}, {account}, {key}, {at}, {raw}, {fingerprint}, {case_id}, {answer} {given}
ON CONFLICT (channel, account, external_id) DO NOTHING
RETURNING id"""
_EVENT = """
UPDATE received SET fingerprint = {fingerprint}, subject_id = {case_id}, answer = {answer}
WHERE id = {received_id} AND channel = {channel} AND account = {account} AND external_id = {key} AND subject_id IS NULL
    AND {raw} IS NOT NULL
RETURNING id"""
_CASE = """, who AS (
    INSERT INTO identities AS i (id, citizen_id, scheme, handle, seen_at)
    SELECT {identity_id}, {citizen_id}, {scheme}, {handle}, {at} FROM {new} WHERE {by_identity}
    ON CONFLICT (scheme, handle) DO UPDATE SET seen_at = greatest(i.seen_at, excluded.seen_at)
    RETURNING citizen_id, scheme, handle
), person AS (
    INSERT INTO citizens (id, created_at)
    SELECT {citizen_id}, {at} FROM {new} WHERE {by_identity} AND {citizen_id} IN (SELECT citizen_id FROM who)
), also AS (
    INSERT INTO identities (id, citizen_id, scheme, handle, seen_at)
    SELECT {email_id}, who.citizen_id, 'email', {email}, {at}
    FROM {new} JOIN who ON who.scheme = {scheme} AND who.handle = {handle} WHERE {email} IS NOT NULL
    ON CONFLICT (scheme, handle) DO NOTHING
), opened AS (
    INSERT INTO cases (
        id, code, version, status, track, track_confirmed, restricted, urgency, kind, mode, channel, received_at,
        created_at, citizen_id, contact, identity_revealed, key_of, key_version, text, field, area, area_candidates,
        lat, lng, address, rule_set_id, decision, promised_at, give_backs, needs_supervisor, chased, public,
        next_due_at, next_stage, next_holder, language, suggested_track
    )
    SELECT {case_id}, {code}, 1, 'received', {track}, false, {restricted}, {urgency}, {kind}, {mode}, {channel}, {at},
        {at}, coalesce((SELECT citizen_id FROM who WHERE who.scheme = {scheme} AND who.handle = {handle}),
        {citizen_id}), {contact}, false, {key_of}, 1, {text}, {field}, {area}, {area_candidates},
        {lat}, {lng}, {address}, {rule_set_id}, {decision}, {promised_at}, 0, false, 0, {public},
        {due_at}, 'forward', {holder}, {language}, {suggested_track}
    FROM {new}
), said AS (
    INSERT INTO entries (id, case_id, kind, author_kind, author_id, text, to_citizen, created_at)
    SELECT {entry_id}, {case_id}, 'report', {actor_kind}, {actor_id}, {text}, true, {at} FROM {new}
), clock AS (
    INSERT INTO limits (id, case_id, stage, holder, clock, amount, unit, calendar, opened_at, due_at, next_at)
    SELECT {limit_id}, {case_id}, 'forward', {holder}, {clock}, {amount}, {unit}, {calendar}, {at}, {due_at}, {next_at}
    FROM {new}
), receipt AS (
    INSERT INTO outgoing (
        id, subject_id, entry_id, purpose, channel, scheme, handle, text, reference, title, state, created_at, run_at
    )
    SELECT {receipt_id}, {case_id}, {entry_id}, 'receipt', {channel}, {receipt_scheme}, {receipt_handle}, {receipt},
        {code}, {title}, 'queued', {at}, {at}
    FROM {new} WHERE {receipt} IS NOT NULL AND {receipt_handle} IS NOT NULL
), noted AS (
    INSERT INTO journal (kind, case_id, actor_kind, actor_id, occurred_at, restricted, data)
    SELECT 'case.open', {case_id}, {actor_kind}, {actor_id}, {at}, {restricted}, {journal} FROM {new}
)"""
_MORE = """, files AS (
    INSERT INTO attachments (
        id, case_id, entry_id, name, media_type, size, sha256, original_sha256, width, height, created_at
    )
    SELECT f.id, {case_id}, {entry_id}, f.name, f.media_type, f.size, f.sha256, f.original, f.width, f.height, {at}
    FROM {new}, unnest(
        {file_ids}, {names}, {media_types}, {sizes}, {sha256s}, {original_sha256s}, {widths}, {heights}
    ) AS f (id, name, media_type, size, sha256, original, width, height)
), tie AS (
    INSERT INTO case_links (case_id, other_id, kind, at)
    SELECT {split_from}, {case_id}, 'split', {at} FROM {new} WHERE {split_from} IS NOT NULL
)"""
_TOLD = " SELECT {case_id} AS new FROM {new}"


def _of_one(*parts: str) -> str:
    """For one report, whose members are the arguments."""
    members = {name: f"${n}::{kind}" for n, (name, kind) in enumerate({**_MEMBERS, **_FILES}.items(), 1)}
    return "WITH kept AS (" + "".join(parts).format(**members, given="", new="kept")


def _of_several(*parts: str) -> str:
    """For any number of reports whose identities differ, in the order in which they are given: arguments are arrays."""
    members = {name: f"g.{name}" for name in _MEMBERS}
    arrays = ", ".join(f"(${n}::{kind}[])[n] AS {name}" for n, (name, kind) in enumerate(_MEMBERS.items(), 1))
    given = f"given AS MATERIALIZED (SELECT {arrays} FROM generate_series(1, cardinality($1::uuid[])) AS n)"  # noqa: S608
    raw, *rest = parts
    fresh = ", fresh AS MATERIALIZED (SELECT * FROM given WHERE received_id IN (SELECT id FROM kept))"
    return (
        f"WITH {given}, kept AS ("
        + raw.format(**members, given="FROM given g")
        + ")"
        + fresh
        + "".join(rest).format(**members, new="fresh g")
    )


OPEN_CASE: Final = _of_one(_RAW, ")", _CASE, _TOLD)
OPEN_CASE_OF_EVENT: Final = _of_one(_EVENT, ")", _CASE, _TOLD)
OPEN_CASE_WITH_MORE: Final = _of_one(_RAW, ")", _CASE, _MORE, _TOLD)  # files or another case it was split from
OPEN_CASES: Final = _of_several(_RAW, _CASE, _TOLD)
