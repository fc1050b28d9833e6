-- What bench.year writes, statement by statement; @names are filled in there.

-- name: functions
CREATE FUNCTION pg_temp.pick(n bigint, salt int, count int) RETURNS int LANGUAGE sql IMMUTABLE AS $$
    SELECT (abs(hashint8(n * 8 + salt)::bigint) % count)::int $$;
CREATE FUNCTION pg_temp.moment_id(at timestamptz, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(n % 4096), 3, '0') || '8'
        || lpad(to_hex(n), 15, '0'))::uuid $$;
CREATE FUNCTION pg_temp.department(r float8) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT code FROM some_departments WHERE n = floor(r * (SELECT count(*) FROM some_departments))::int $$;
CREATE FUNCTION pg_temp.officer(department text, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT md5(department || n % 8)::uuid $$;

-- name: cases
INSERT INTO cases (
    id, code, version, status, track, track_confirmed, restricted, urgency, kind, mode, channel, received_at,
    created_at, citizen_id, contact, identity_revealed, key_of, key_version, text, field, area, area_candidates, address, lead,
    units, officer_id, rule_set_id, decision, promised_at, next_due_at, next_stage, next_holder, give_backs, needs_supervisor,
    chased, public, public_text, published_at, approved_at, replied_at, ended_at, close_after, rating, incident_id
)
SELECT id, code, 3, status, track, true, restricted, CASE WHEN u < 0.01 THEN 'emergency' ELSE 'normal' END, 'report',
    'normal', (@channels)[1 + floor(power(random(), 2) * @channel_count)::int], received_at, received_at,
    CASE WHEN u < 0.6 THEN ('00000000-0000-7000-8000-' || lpad((n * 7919 % @citizens)::text, 12, '0'))::uuid END,
    '{}', false, id, 1, said, field, area, '[]', address, lead, units, officer, rule_set, '{"rules": ["r-1", "r-2"]}',
    received_at + interval '7 days',
    CASE WHEN next_stage IS NOT NULL THEN received_at + next_after END, next_stage,
    CASE WHEN next_stage IN ('forward', 'publish') THEN 'trung-tam-1022' WHEN next_stage IS NOT NULL THEN lead END,
    CASE WHEN v < 0.03 THEN 1 + (v < 0.005)::int + (v < 0.001)::int ELSE 0 END, open AND v < 0.001, 0, true,
    CASE WHEN published THEN said END, CASE WHEN published THEN ended_at END, replied_at, replied_at, ended_at,
    CASE WHEN status = 'replied' THEN replied_at + interval '5 days' END,
    CASE WHEN status = 'closed' AND w < 0.3 THEN 1 + floor(sqrt(w / 0.3) * 5)::int END, NULL
FROM (
    SELECT c.*, CASE
            WHEN status = 'received' THEN 'forward' WHEN status = 'forwarded' THEN 'accept'
            WHEN status = 'in_progress' OR (status = 'waiting_citizen' AND w < 0.5) THEN 'resolve'
            WHEN status = 'answered' THEN 'reply' WHEN status IN ('closed', 'replied') AND w < 0.01 THEN 'publish'
        END AS next_stage,
        CASE
            WHEN status = 'received' THEN interval '8 hours' + w * interval '3 days'
            WHEN status = 'forwarded' THEN interval '1 day' + w * interval '5 days'
            WHEN status IN ('closed', 'replied') THEN interval '30 days'
            ELSE interval '3 days' + w * interval '12 days'
        END AS next_after,
        status = 'closed' AND w > 0.7 AND NOT restricted AS published,
        CASE WHEN status IN ('replied', 'closed') THEN received_at + (0.2 + w * 3) * interval '1 day' END AS replied_at,
        CASE WHEN NOT open AND status <> 'replied' THEN least($3::timestamptz, received_at + (0.3 + w * 8) * interval '1 day') END
            AS ended_at,
        CASE WHEN NOT has_lead THEN '{}' WHEN v < 0.15 AND helper <> lead THEN ARRAY[lead, helper] ELSE ARRAY[lead] END
            AS units,
        CASE
            WHEN restricted THEN $5::uuid WHEN lead = 'so-xd' AND w < 0.1 THEN $4::uuid
            WHEN has_lead AND w < 0.8 THEN pg_temp.officer(lead, n)
        END AS officer
    FROM (
        SELECT b.*, CASE WHEN has_lead THEN pg_temp.department(power(random(), 2)) END AS lead,
            pg_temp.department(random()) AS helper
        FROM (
            SELECT a.*, CASE WHEN open THEN
                    CASE WHEN w < 0.25 THEN 'received' WHEN w < 0.4 THEN 'forwarded' WHEN w < 0.85 THEN 'in_progress'
                    WHEN w < 0.9 THEN 'waiting_citizen' ELSE 'answered' END
                WHEN age < 10 AND w < 0.5 THEN 'replied'
                WHEN u < 0.9 THEN 'closed' WHEN u < 0.94 THEN 'refused' WHEN u < 0.96 THEN 'redirected'
                WHEN u < 0.995 THEN 'closed' ELSE 'spam' END AS status,
                NOT restricted AND CASE WHEN open THEN w >= 0.25 ELSE u < 0.9 END AS has_lead,
                CASE WHEN restricted THEN 'denunciation' ELSE 'ordinary' END AS track
            FROM (
                SELECT i.n, pg_temp.moment_id($3::timestamptz - age * interval '1 day', i.n) AS id, $3::timestamptz - age * interval '1 day' AS received_at,
                    CASE WHEN i.n = $2::bigint - 1 THEN '@a_case' ELSE 'BP-26-' || lpad(i.n::text, 7, '0') || '0' END AS code, age,
                    random() < 0.9 * exp(-age / 4) AS open, random() AS u, random() AS v, random() AS w,
                    random() < 0.005 AS restricted, (SELECT id FROM rule_sets LIMIT 1) AS rule_set,
                    o.said || ' đường ' || s.said || ', ' || p.said || '. Số nhà ' || i.n || '. ' || t.said
                        || CASE WHEN i.n % 50000 = 7 THEN ' @rare' ELSE '' END AS said,
                    p.said AS address, p.area AS area,
                    CASE WHEN i.n % 10000 = 3 THEN '@rare_field' WHEN i.n % 4 > 0 THEN
                        (@fields)[1 + i.n % @field_count] END AS field
                FROM (
                    SELECT n, 365.0::float8 * ($2::bigint - n) / $2::bigint AS age, pg_temp.pick(n, 1, @openings) AS o,
                        pg_temp.pick(n, 2, @streets) AS s, pg_temp.pick(n, 3, @places) AS p,
                        pg_temp.pick(n, 4, 20000) AS t
                    FROM generate_series($1::bigint, $6::bigint) AS g (n)
                ) i
                JOIN phrases o ON o.kind = 'opening' AND o.n = i.o JOIN phrases s ON s.kind = 'street' AND s.n = i.s
                JOIN phrases p ON p.kind = 'place' AND p.n = i.p JOIN phrases t ON t.kind = 'tail' AND t.n = i.t
            ) a
        ) b
    ) c
) d
ORDER BY n

-- name: words
INSERT INTO case_search (case_id, received_at, tsv)
SELECT c.id, c.received_at,
    to_tsvector('simple', 'bp 26 ' || split_part(c.code, '-', 3) || ' ' || replace(substr(c.code, 4), '-', '') || ' ' || f.said)
    || array_to_tsvector(
        (SELECT coalesce(array_agg('=u:' || u), '{}') FROM unnest(c.units) u)
        || CASE WHEN c.field IS NULL THEN '{}'::text[] ELSE ARRAY['=f:' || c.field] END
        || CASE WHEN c.area IS NULL THEN '{}'::text[] ELSE ARRAY['=a:' || c.area] END
        || CASE WHEN c.status IN ('received', 'forwarded', 'in_progress', 'waiting_citizen', 'answered')
           THEN ARRAY['=o'] ELSE '{}' END
        || CASE WHEN c.restricted THEN ARRAY['=r'] ELSE '{}' END
        || CASE WHEN c.officer_id IS NULL THEN '{}'::text[] ELSE ARRAY['=p:' || c.officer_id] END
        || ARRAY['=s:' || c.status, '=c:' || c.channel]
    )
FROM cases c, LATERAL (
    SELECT translate(
        replace(lower(normalize(c.text, NFD)), 'đ', 'd'), E'\u0300\u0301\u0303\u0309\u0323\u0302\u0306\u031b,.', ''
    ) AS said
) f WHERE c.received_at >= $1 AND c.received_at < $2

-- name: departments
CREATE TEMP TABLE some_departments AS
    SELECT code, (row_number() OVER (ORDER BY code <> 'so-xd', code) - 1)::int AS n
    FROM departments WHERE valid_to IS NULL AND code <> 'trung-tam-1022' LIMIT @departments

-- name: citizens
INSERT INTO citizens (id, created_at)
SELECT ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, $1 FROM generate_series(0, @citizens - 1) n

-- name: identities
INSERT INTO identities (id, citizen_id, scheme, handle, seen_at)
SELECT md5('i' || n)::uuid, ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'phone',
    '+84900' || lpad(n::text, 6, '0'), $1
FROM generate_series(0, @citizens - 1) n

-- name: officers
INSERT INTO staff (id, email, name, password_hash, active, created_at)
SELECT md5(code || k)::uuid, code || k || '@bench', 'Cán bộ ' || code, '-', true, $1
FROM some_departments, generate_series(0, 7) k

-- name: parts
INSERT INTO assignments (id, case_id, department, role, state, opened_at)
SELECT md5(c.id::text || u)::uuid, c.id, u, CASE WHEN u = c.lead THEN 'lead' ELSE 'supporting' END, 'open', c.received_at
FROM cases c, unnest(c.units) u WHERE c.received_at > $1::timestamptz - interval '60 days'

-- name: extensions
INSERT INTO extensions (id, case_id, department, until, reason, state, requested_by, requested_at)
SELECT md5('x' || id)::uuid, id, lead, $1, '-', CASE WHEN ended_at IS NULL THEN 'requested' ELSE 'granted' END,
    officer_id, received_at
FROM cases WHERE officer_id IS NOT NULL AND lead IS NOT NULL AND hashtext(code) % 40 = 0

-- name: incidents
UPDATE cases SET incident_id = (SELECT id FROM cases ORDER BY received_at DESC LIMIT 1)
WHERE status IN ('received', 'forwarded', 'in_progress') AND hashtext(code) % 50 = 0 AND $1::timestamptz IS NOT NULL
