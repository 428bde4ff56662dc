-- Insolvency events out of announcements, process pages and orders. `resolve.py` makes debtor: one
-- row per debtor as printed, with `ident`, by which all that is told of one debtor is put together,
-- and company_id where it is matched.

DELETE FROM insolvency_event
WHERE snapshot_id IN (SELECT snapshot_id FROM age WHERE source IS NOT NULL);

-- kind: what IBBI calls an announcement, and the event it tells of.
CREATE OR REPLACE TEMP TABLE kind(announcement_type, event_type) AS VALUES
    ('public announcement of corporate insolvency resolution process', 'cirp_admission'),
    ('public announcement of liquidation process', 'liquidation'),
    ('public announcement of voluntary liquidation process', 'voluntary_liquidation');

-- remark: what the remarks on an order must look like, and must not. All other remarks tell of no
-- event. "Dismissed as withdrawn" is of a petition, not of a process; PG: a personal guarantor's.
CREATE OR REPLACE TEMP TABLE remark(pattern, but, event_type) AS VALUES
    ('^(admission - final order|admitted)$', '^$', 'admitted'),
    ('^approval of resolution plan$', '^$', 'resolution_approved'),
    ('withdraw|\b12[ -]?a\b|\bset[ -]?aside\b', 'dismiss|reject|\bpg\b|guarantor', 'withdrawn');

-- said: one row per debtor, type and day of an announcement. The export's row, with the CIN, goes
-- before the listing's.
CREATE OR REPLACE TEMP TABLE said AS
WITH all_of_them AS (
    SELECT d.ident, d.company_id, a.debtor_name, d.cin, k.event_type, a.announced_on, a.source,
        a.snapshot_id, a.row_number, a.age, a.cin IS NULL AS bare
    FROM announced a
    JOIN debtor d ON d.debtor_name = a.debtor_name AND d.printed = coalesce(a.cin, '')
    JOIN kind k ON k.announcement_type = lower(a.announcement_type)
    QUALIFY NOT bare
        OR bool_and(bare) OVER (PARTITION BY d.name, k.event_type, a.announced_on)
)
SELECT * FROM all_of_them
QUALIFY row_number() OVER (PARTITION BY ident, event_type, announced_on
    ORDER BY bare, age DESC, row_number DESC) = 1;

-- ordered: one row per debtor, type and day of an order.
CREATE OR REPLACE TEMP TABLE ordered AS
SELECT d.ident, d.company_id, o.debtor_name, d.cin, r.event_type, o.ordered_on, o.source,
    o.snapshot_id, o.row_number
FROM insolvency_order o
JOIN age a USING (snapshot_id)
JOIN debtor d ON d.debtor_name = o.debtor_name AND d.printed = ''
JOIN remark r ON regexp_matches(lower(o.remarks), r.pattern)
    AND NOT regexp_matches(lower(o.remarks), r.but)
QUALIFY row_number() OVER (PARTITION BY d.ident, r.event_type, o.ordered_on
    ORDER BY a.age DESC, o.row_number DESC) = 1;

-- dated: as said, with the day of the event: the commencement on the debtor's page or an order of
-- admission, where one is of the 90 days before the announcement; else the announcement itself.
CREATE OR REPLACE TEMP TABLE dated AS
WITH commenced AS (
    SELECT DISTINCT cin, commenced_on AS day FROM process WHERE commenced_on IS NOT NULL
), admitted AS (
    SELECT ident, ordered_on AS day FROM ordered WHERE event_type = 'admitted'
), looked_up AS (
    SELECT s.*,
        CASE WHEN event_type = 'cirp_admission' AND c.day >= announced_on - 90 THEN c.day END
            AS exact_on,
        CASE WHEN event_type = 'cirp_admission' AND o.day >= announced_on - 90 THEN o.day END
            AS admitted_on
    FROM said s
    ASOF LEFT JOIN commenced c ON c.cin = s.cin AND s.announced_on >= c.day
    ASOF LEFT JOIN admitted o ON o.ident = s.ident AND s.announced_on >= o.day
)
SELECT * EXCLUDE (exact_on, admitted_on),
    coalesce(exact_on, admitted_on, announced_on) AS event_date,
    CASE WHEN exact_on IS NOT NULL THEN 'exact' WHEN admitted_on IS NOT NULL THEN 'order'
        ELSE 'announced' END AS confidence
FROM looked_up
QUALIFY row_number() OVER (PARTITION BY ident, event_type, event_date
    ORDER BY confidence = 'announced', bare, announced_on, age DESC, row_number DESC) = 1;

-- once: one row per process. An announcement within 90 days of the one before, without a withdrawal
-- between, repeats it.
CREATE OR REPLACE TEMP TABLE once AS
WITH beside AS (
    SELECT *, lag(event_date) OVER (PARTITION BY ident, event_type ORDER BY event_date) AS before
    FROM dated
)
SELECT b.* FROM beside b
WHERE b.confidence <> 'announced' OR b.before IS NULL OR b.event_date - b.before > 90
    OR EXISTS (
        SELECT 1 FROM ordered w
        WHERE w.ident = b.ident AND w.event_type = 'withdrawn'
            AND w.ordered_on BETWEEN b.before AND b.event_date);

-- told: one row per event, in the order in which labels read them: by date, on one day an admission
-- before its end.
CREATE OR REPLACE TEMP TABLE told AS
WITH event AS (
    SELECT ident, company_id, debtor_name, cin, event_type, event_date, confidence, source,
        snapshot_id, row_number
    FROM once
    UNION ALL BY NAME
    -- An order on a debtor that was never announced is of a process we know nothing of, or of a
    -- creditor whose name the subject has: it is kept without a company.
    SELECT o.ident, CASE WHEN o.ident IN (SELECT ident FROM once WHERE event_type =
            'cirp_admission') THEN o.company_id END AS company_id,
        o.debtor_name, o.cin, o.event_type, o.ordered_on AS event_date, 'order' AS confidence,
        o.source, o.snapshot_id, o.row_number
    FROM ordered o WHERE o.event_type <> 'admitted'
), row_of AS (
    SELECT *,
        lag(event_type) OVER debtor AS before, lag(event_type, 2) OVER debtor AS before_that,
        lag(event_date) OVER debtor AS before_on
    FROM event
    WHERE event_type <> 'voluntary_liquidation'
    WINDOW debtor AS (PARTITION BY ident ORDER BY event_date, event_type)
), mended AS (
    -- A process may be settled before it is announced. Its withdrawal then stands before an
    -- admission of which only the announcement is dated: the admission was no later.
    SELECT * REPLACE (CASE WHEN event_type = 'cirp_admission' AND confidence = 'announced'
            AND before = 'withdrawn' AND before_that IS DISTINCT FROM 'cirp_admission'
            AND event_date - before_on <= 30 THEN before_on ELSE event_date END AS event_date)
    FROM row_of
)
SELECT * EXCLUDE (before, before_that, before_on),
    -- What is withdrawn after a plan or a liquidation is another creditor's petition.
    event_type <> 'withdrawn' OR coalesce(lag(event_type) OVER (
        PARTITION BY ident ORDER BY event_date, event_type) = 'cirp_admission', false) AS usable
FROM mended
UNION ALL BY NAME
SELECT *, false AS usable FROM event WHERE event_type = 'voluntary_liquidation';

INSERT INTO insolvency_event
SELECT company_id, debtor_name, nullif(cin, ''), event_type, event_date, source, confidence, usable,
    snapshot_id, row_number
FROM told
ORDER BY event_date, debtor_name, event_type, source, row_number;
