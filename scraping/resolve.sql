-- Companies and announcements out of what was loaded: temporary tables, one purpose each.
-- `resolve.py` makes share_isin and spelling before. Nothing here may depend on snapshot_id, which
-- counts loads: what is newest is told by when it was fetched.

-- age: one row per snapshot, in one order whatever the order of loads.
CREATE OR REPLACE TEMP TABLE age AS
SELECT snapshot_id, source, kind, CAST(fetched_at AS DATE) AS fetched_on,
    row_number() OVER (ORDER BY CAST(fetched_at AS DATE) NULLS FIRST, source NULLS FIRST,
        fetched_at NULLS FIRST, sha256, name) AS age
FROM snapshot;

-- announced: one row per announcement, as it was last told. The listing's row of an announcement
-- has an address, the export's has none: two rows.
CREATE OR REPLACE TEMP TABLE announced AS
SELECT n.*, a.age
FROM announcement n JOIN age a USING (snapshot_id)
QUALIFY row_number() OVER (
    PARTITION BY announcement_type, announced_on, debtor_name, professional, pdf_url
    ORDER BY a.age DESC, row_number DESC) = 1;

-- share: one row per listed share as a list once told it, with the company it belongs to.
-- A rights entitlement, a bond or a fund unit has a valid ISIN and is no company's share.
CREATE OR REPLACE TEMP TABLE share AS
WITH told AS (
    SELECT upper(s.exchange) AS exchange, s.code,
        CASE WHEN upper(s.exchange) = 'NSE' THEN coalesce(s.symbol, s.code) END AS symbol,
        s.isin AS printed, s.security_name, s.issuer_name, lower(s.status) AS status, s.industry,
        s.listed_on, a.fetched_on AS seen_on, a.age, s.snapshot_id, s.row_number
    FROM security s JOIN age a USING (snapshot_id)
    UNION ALL BY NAME
    SELECT 'INDEX' AS exchange, c.symbol AS code, c.symbol, c.isin AS printed, c.security_name,
        'listed' AS status, c.industry, c.list_date AS seen_on, a.age, c.snapshot_id, c.row_number
    FROM constituent c JOIN age a USING (snapshot_id)
), known AS (
    SELECT told.* EXCLUDE (printed), i.isin, i.issuer
    FROM told LEFT JOIN share_isin i USING (printed)
    WHERE i.equity OR (i.isin IS NULL AND exchange = 'BSE')
), by_code AS (  -- BSE never gives a code to another company
    SELECT code, arg_max(issuer, struct_pack(seen_on, age, row_number)) AS issuer
    FROM known WHERE exchange = 'BSE' AND issuer IS NOT NULL GROUP BY code
)
SELECT k.* EXCLUDE (issuer), coalesce(k.issuer, b.issuer, 'BSE' || k.code) AS found_id
FROM known k LEFT JOIN by_code b ON k.exchange = 'BSE' AND b.code = k.code;

-- ranked: as share; `newest` is what a code stands for today, `place` the order among a company's
-- rows, NSE's ordinary share first. A symbol is of the past where the same ISIN later has another;
-- a share partly paid (IN9) or of other votes has its own, longer one.
CREATE OR REPLACE TEMP TABLE ranked AS
WITH latest AS (
    SELECT *,
        row_number() OVER (PARTITION BY exchange, code
            ORDER BY seen_on DESC, age DESC, row_number DESC) = 1
        AND NOT (exchange = 'NSE' AND struct_pack(seen_on, age) < max(struct_pack(seen_on, age))
            OVER (PARTITION BY exchange, isin)) AS newest
    FROM share
), taken AS (
    SELECT code, found_id FROM latest WHERE exchange = 'NSE' AND newest
)
SELECT l.*, coalesce(t.found_id = l.found_id, l.symbol IS NOT NULL) AS own_symbol,
    row_number() OVER (PARTITION BY l.found_id ORDER BY
        list_position(['NSE', 'BSE', 'INDEX'], exchange), newest DESC,
        coalesce(isin LIKE 'IN9%', false), status = 'delisted',
        CASE WHEN exchange = 'NSE' THEN length(l.code) END, seen_on DESC, age DESC, l.code,
        row_number DESC) AS place
FROM latest l LEFT JOIN taken t ON t.code = l.symbol;

-- found: one row per company of the lists.
CREATE OR REPLACE TEMP TABLE found AS
WITH fact AS (
    SELECT count(*) FILTER (WHERE lower(index_name) = 'nifty500') > 0 AS has_list FROM constituent
), member AS (
    SELECT DISTINCT i.issuer
    FROM constituent c JOIN share_isin i ON i.printed = c.isin
    WHERE lower(c.index_name) = 'nifty500'
)
SELECT found_id,
    arg_min(CASE exchange WHEN 'BSE' THEN coalesce(issuer_name, security_name)
        ELSE security_name END, place) AS company_name,
    arg_min(symbol, place) FILTER (WHERE own_symbol) AS nse_symbol,
    arg_min(isin, place) FILTER (WHERE isin IS NOT NULL) AS isin,
    arg_max(industry, struct_pack(seen_on, age, row_number))
        FILTER (WHERE exchange = 'INDEX' AND industry IS NOT NULL) AS index_industry,
    arg_min(industry, place) FILTER (WHERE exchange <> 'INDEX' AND industry IS NOT NULL)
        AS other_industry,
    min(listed_on) AS listed_on,
    coalesce(bool_and(status = 'delisted') FILTER (WHERE newest AND exchange <> 'INDEX'), false)
        AS delisted,
    CASE WHEN any_value(has_list) THEN found_id IN (SELECT issuer FROM member) END AS in_nifty500,
    arg_min(snapshot_id, place) AS snapshot_id
FROM ranked CROSS JOIN fact
GROUP BY found_id;

-- held: one row per company, NSE symbol and last day on which it is known to have had it: as a list
-- showed it, and back along the changes of symbols. A symbol that was given up and then taken by
-- another company breaks the chain.
CREATE OR REPLACE TEMP TABLE held AS
WITH RECURSIVE change AS (
    SELECT DISTINCT old, new, changed_on FROM identity_change WHERE kind = 'symbol'
), chain AS (
    SELECT found_id, symbol, max(seen_on) AS until
    FROM share WHERE symbol IS NOT NULL GROUP BY found_id, symbol
    UNION
    SELECT c.found_id, e.old, e.changed_on
    FROM chain c JOIN change e ON e.new = c.symbol AND e.changed_on <= c.until
    WHERE NOT EXISTS (
        SELECT 1 FROM change g
        WHERE g.old = c.symbol AND g.changed_on > e.changed_on AND g.changed_on < c.until)
)
SELECT found_id, symbol, max(until) AS until FROM chain GROUP BY found_id, symbol;

-- named: one row per company and name. A `former` name is one that no list gives it today, and
-- `given_up` the day of the change where NSE tells it.
CREATE OR REPLACE TEMP TABLE named AS
WITH changed AS (
    SELECT i.*, h.found_id
    FROM identity_change i JOIN held h ON h.symbol = i.symbol AND h.until >= i.changed_on
    WHERE i.kind = 'name'
    QUALIFY h.until = min(h.until) OVER (PARTITION BY i.symbol, i.old, i.new, i.changed_on)
), told AS (
    SELECT found_id, unnest([security_name, issuer_name]) AS name,
        newest AND exchange <> 'INDEX' AS today, CAST(NULL AS DATE) AS given_up, seen_on, age,
        snapshot_id
    FROM ranked
    UNION ALL BY NAME
    SELECT c.found_id, unnest([c.old, c.new]) AS name, false AS today,
        unnest([c.changed_on, NULL]) AS given_up, CAST(NULL AS DATE) AS seen_on, a.age,
        c.snapshot_id
    FROM changed c JOIN age a USING (snapshot_id)
), spelt AS (
    SELECT told.*, s.key,
        bool_or(today) OVER (PARTITION BY found_id) AS any_today,
        max(seen_on) OVER (PARTITION BY found_id) AS last_seen
    FROM told JOIN spelling s USING (name) WHERE s.key <> ''
), per_key AS (
    -- A company that is on no exchange's list has the name under which an index last had it.
    SELECT found_id, key, max(given_up) AS given_up,
        bool_or(today OR (NOT any_today AND seen_on IS NOT DISTINCT FROM last_seen)) AS today
    FROM spelt GROUP BY found_id, key
)
SELECT s.found_id, s.name, s.key, NOT k.today AS former,
    CASE WHEN NOT k.today THEN k.given_up END AS given_up,
    arg_max(s.snapshot_id, s.age) AS snapshot_id
FROM spelt s JOIN per_key k USING (found_id, key)
GROUP BY ALL;

-- registered: one row per company of the lists whose name of today one listed company of the
-- register has, and no other of the lists.
CREATE OR REPLACE TEMP TABLE registered AS
WITH register AS (
    SELECT r.cin, s.key, r.snapshot_id
    FROM registered_company r JOIN age a USING (snapshot_id)
    JOIN spelling s ON s.name = r.company_name
    WHERE r.cin LIKE 'L%' AND lower(r.listing_status) = 'listed' AND NOT s.private
    QUALIFY row_number() OVER (PARTITION BY r.cin ORDER BY a.age DESC, r.row_number DESC) = 1
), pair AS (
    SELECT DISTINCT n.found_id, r.cin, r.snapshot_id, r.key
    FROM register r JOIN named n USING (key) WHERE NOT n.former
)
SELECT found_id, cin, snapshot_id FROM pair
QUALIFY count(*) OVER (PARTITION BY key) = 1 AND count(*) OVER (PARTITION BY found_id) = 1;

-- own: one row per identifier that a user's files give a company. Of a statements file only the
-- aliases say what the user gave: the row of company may have been completed, see below.
CREATE OR REPLACE TEMP TABLE own AS
WITH given AS (
    SELECT x.company_id, x.kind, x.alias
    FROM alias x LEFT JOIN age a USING (snapshot_id) WHERE a.source IS NULL
    UNION
    SELECT company_id, kind, alias FROM (
        SELECT c.company_id, company_name, nse_symbol, isin, cin
        FROM company c LEFT JOIN age a USING (snapshot_id)
        WHERE a.source IS NULL AND a.kind IS DISTINCT FROM 'statements'
    ) UNPIVOT (alias FOR kind IN (company_name, nse_symbol, isin, cin))
    UNION
    SELECT l.company_id, 'company_id', l.company_id
    FROM statement_line l LEFT JOIN age a USING (snapshot_id) WHERE a.source IS NULL
    UNION
    SELECT c.company_id, 'company_id', c.company_id
    FROM company c LEFT JOIN age a USING (snapshot_id) WHERE a.source IS NULL
)
SELECT g.company_id, g.kind, g.alias, i.issuer, s.key, coalesce(s.private, false) AS private
FROM given g
LEFT JOIN share_isin i ON g.kind = 'isin' AND i.printed = g.alias
LEFT JOIN spelling s ON g.kind = 'company_name' AND s.name = g.alias;

-- claim: one row per company of the lists and company of a user that it may be; rank 0 is the best
-- reason. An ISIN of another issuer speaks against a symbol, a code and a name; and a name alone is
-- enough only where it is of one company, and that has no symbol that the user's does not have.
CREATE OR REPLACE TEMP TABLE claim AS
WITH formerly AS (
    SELECT symbol, any_value(found_id) AS found_id FROM held
    WHERE symbol NOT IN (SELECT nse_symbol FROM found WHERE nse_symbol IS NOT NULL)
    GROUP BY symbol HAVING count(*) = 1
), of_name AS (
    SELECT key, any_value(found_id) AS found_id FROM (SELECT DISTINCT found_id, key FROM named)
    GROUP BY key HAVING count(*) = 1
), may AS (
    SELECT s.found_id, o.company_id, 0 AS rank
    FROM share s JOIN own o ON o.kind = 'company_id' AND o.alias = s.found_id
    UNION ALL
    SELECT s.found_id, o.company_id, 0
    FROM share s JOIN own o ON o.kind = 'company_id' AND s.exchange = 'BSE'
        AND o.alias = 'BSE' || s.code
    UNION ALL
    SELECT f.found_id, o.company_id, 1 FROM found f JOIN own o ON o.issuer = f.found_id
    UNION ALL
    SELECT f.found_id, o.company_id, 2
    FROM found f JOIN own o ON o.kind = 'nse_symbol' AND upper(o.alias) = upper(f.nse_symbol)
    UNION ALL
    SELECT f.found_id, o.company_id, 3
    FROM formerly f JOIN own o ON o.kind = 'nse_symbol' AND upper(o.alias) = upper(f.symbol)
    UNION ALL
    SELECT s.found_id, o.company_id, 4
    FROM share s JOIN own o ON o.kind = 'bse_code' AND s.exchange = 'BSE' AND s.code = o.alias
    UNION ALL
    SELECT n.found_id, o.company_id, 5 FROM of_name n JOIN own o USING (key) WHERE NOT o.private
), pair AS (
    SELECT found_id, company_id, min(rank) AS rank FROM may GROUP BY found_id, company_id
), judged AS (
    SELECT p.found_id, p.company_id, p.rank,
        bool_and(o.issuer <> p.found_id) FILTER (WHERE f.isin IS NOT NULL AND o.issuer IS NOT NULL)
            AS other_isin,
        bool_and(upper(o.alias) <> upper(f.nse_symbol))
            FILTER (WHERE f.nse_symbol IS NOT NULL AND o.kind = 'nse_symbol') AS other_symbol
    FROM pair p JOIN found f USING (found_id) JOIN own o USING (company_id)
    GROUP BY ALL
)
SELECT found_id, company_id, rank FROM judged
WHERE (rank <= 1 OR NOT coalesce(other_isin, false))
    AND (rank < 5 OR NOT coalesce(other_symbol, false))
QUALIFY rank < 5 OR min(rank) OVER (PARTITION BY company_id) = 5;

-- identity: one row per company of the lists: its company_id, a user's before our own.
CREATE OR REPLACE TEMP TABLE identity AS
WITH chosen AS (
    SELECT found_id, company_id FROM claim
    QUALIFY row_number() OVER (PARTITION BY found_id ORDER BY rank, company_id) = 1
)
SELECT found_id, coalesce(c.company_id, found_id) AS company_id
FROM found LEFT JOIN chosen c USING (found_id);

-- coded: one row per company of the lists and code of moneycontrol, by ISIN, else BSE code, else
-- symbol.
CREATE OR REPLACE TEMP TABLE coded AS
WITH code AS (
    SELECT m.code, i.issuer, m.symbol, m.bse_code, m.snapshot_id
    FROM moneycontrol_code m JOIN age a USING (snapshot_id)
    LEFT JOIN share_isin i ON i.printed = m.isin
    QUALIFY row_number() OVER (PARTITION BY m.code ORDER BY a.age DESC, m.row_number DESC) = 1
), bse AS (
    SELECT code AS bse_code, any_value(found_id) AS found_id FROM ranked
    WHERE exchange = 'BSE' AND newest GROUP BY code
), nse AS (
    SELECT nse_symbol AS symbol, any_value(found_id) AS found_id FROM found
    WHERE nse_symbol IS NOT NULL GROUP BY nse_symbol HAVING count(*) = 1
)
SELECT coalesce(f.found_id, b.found_id, n.found_id) AS found_id, c.code, c.snapshot_id
FROM code c
LEFT JOIN found f ON f.found_id = c.issuer
LEFT JOIN bse b ON c.issuer IS NULL AND b.bse_code = c.bse_code
LEFT JOIN nse n ON c.issuer IS NULL AND n.symbol = c.symbol
WHERE coalesce(f.found_id, b.found_id, n.found_id) IS NOT NULL;

-- ---------------------------------------------------------------------------------------------
-- The tables of the warehouse: what came from scraping is written anew, a user's rows stay.

-- best: one row per company_id of the lists' companies; one with an ISIN speaks for several.
CREATE OR REPLACE TEMP TABLE best AS
SELECT i.company_id, f.*, r.cin, coalesce(f.index_industry, f.other_industry) AS sector,
    -- NSE Indices' sector; BSE's industries are finer: those of NSE's class Financial Services.
    CASE WHEN f.index_industry IS NOT NULL THEN lower(f.index_industry) = 'financial services'
        ELSE regexp_matches(lower(f.other_industry), '\b(bank|banks|financ\w*|nbfc|insurance|'
            || 'asset management|stockbroking|depositories|exchange and data|ratings|fintech|'
            || 'investment compan\w+|holding compan\w+|capital market\w*)\b') END AS is_financial
FROM found f JOIN identity i USING (found_id) LEFT JOIN registered r USING (found_id)
QUALIFY row_number() OVER (
    PARTITION BY i.company_id ORDER BY f.isin IS NULL, f.nse_symbol IS NULL, f.found_id) = 1;

DELETE FROM company WHERE snapshot_id IN (SELECT snapshot_id FROM age WHERE source IS NOT NULL);
DELETE FROM alias WHERE snapshot_id IN (SELECT snapshot_id FROM age WHERE source IS NOT NULL);
DELETE FROM index_member
WHERE snapshot_id IN (SELECT snapshot_id FROM age WHERE source IS NOT NULL);

INSERT INTO company
SELECT company_id, company_name, nse_symbol, isin, cin, sector, is_financial, in_nifty500,
    snapshot_id
FROM best
WHERE company_id NOT IN (SELECT company_id FROM company)
ORDER BY company_id;

-- A statements file names its companies and says no more of them: what it leaves open is filled,
-- each time from what the user gave.
UPDATE company
SET company_name = coalesce(g.company_name, b.company_name),
    nse_symbol = coalesce(g.nse_symbol, b.nse_symbol), isin = coalesce(g.isin, b.isin),
    cin = coalesce(g.cin, b.cin), sector = b.sector, is_financial = b.is_financial,
    in_nifty500 = b.in_nifty500
FROM (
    SELECT company_id, min(alias) FILTER (WHERE kind = 'company_name') AS company_name,
        min(alias) FILTER (WHERE kind = 'nse_symbol') AS nse_symbol,
        min(alias) FILTER (WHERE kind = 'isin') AS isin,
        min(alias) FILTER (WHERE kind = 'cin') AS cin
    FROM own GROUP BY company_id
) g LEFT JOIN best b USING (company_id)
WHERE company.company_id = g.company_id AND company.snapshot_id IN (
    SELECT snapshot_id FROM age WHERE source IS NULL AND kind = 'statements');

INSERT INTO alias
WITH given AS (
    SELECT found_id, CASE WHEN former THEN 'former_name' ELSE 'company_name' END AS kind,
        name AS alias, snapshot_id FROM named
    UNION ALL
    SELECT found_id, 'nse_symbol', nse_symbol, snapshot_id FROM found WHERE nse_symbol IS NOT NULL
    UNION ALL
    SELECT found_id, 'nse_symbol', code, snapshot_id FROM ranked WHERE exchange = 'NSE' AND newest
    UNION ALL
    SELECT h.found_id, 'former_symbol', h.symbol, f.snapshot_id
    FROM held h JOIN found f USING (found_id)
    WHERE h.symbol IS DISTINCT FROM f.nse_symbol AND NOT EXISTS (
        SELECT 1 FROM ranked r WHERE r.found_id = h.found_id AND r.code = h.symbol
            AND r.exchange = 'NSE' AND r.newest)
    UNION ALL
    SELECT found_id, 'isin', isin, snapshot_id FROM share WHERE isin IS NOT NULL
    UNION ALL
    SELECT found_id, 'bse_code', code, snapshot_id FROM ranked WHERE exchange = 'BSE' AND newest
    UNION ALL
    SELECT found_id, 'cin', cin, snapshot_id FROM registered
    UNION ALL
    SELECT found_id, 'moneycontrol_code', code, snapshot_id FROM coded
)
SELECT g.kind, g.alias, i.company_id, arg_max(g.snapshot_id, a.age)
FROM given g JOIN identity i USING (found_id) JOIN age a USING (snapshot_id)
GROUP BY g.kind, g.alias, i.company_id
ORDER BY ALL
ON CONFLICT DO NOTHING;

INSERT INTO index_member
SELECT i.company_id, lower(c.index_name), c.list_date, arg_max(c.snapshot_id, a.age)
FROM constituent c JOIN age a USING (snapshot_id)
JOIN share_isin s ON s.printed = c.isin JOIN identity i ON i.found_id = s.issuer
GROUP BY ALL
ORDER BY ALL
ON CONFLICT DO NOTHING;

-- Statements that were scraped before a user's file gave their company another id, or before BSE's
-- scrip had an ISIN.
CREATE OR REPLACE TEMP TABLE renamed AS
SELECT found_id AS old, company_id FROM identity WHERE found_id <> company_id
UNION
SELECT 'BSE' || s.code, i.company_id
FROM ranked s JOIN identity i USING (found_id)
WHERE s.exchange = 'BSE' AND s.newest AND i.company_id <> 'BSE' || s.code;

UPDATE statement_line SET company_id = r.company_id FROM renamed r
WHERE statement_line.company_id = r.old
    AND snapshot_id IN (SELECT snapshot_id FROM age WHERE source IS NOT NULL);
UPDATE published_ratio SET company_id = r.company_id FROM renamed r
WHERE published_ratio.company_id = r.old
    AND snapshot_id IN (SELECT snapshot_id FROM age WHERE source IS NOT NULL);
