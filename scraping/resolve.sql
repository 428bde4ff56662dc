-- Companies out of the lists of exchanges. Temporary tables only; `resolve.py` fills share_isin and
-- spelling before, and rewrites the tables of the warehouse after. Nothing here may depend on
-- snapshot_id, which counts loads: what is newest is told by when it was fetched.

-- age: one row per snapshot, in one order whatever the order of loads.
CREATE OR REPLACE TEMP TABLE age AS
SELECT snapshot_id, source, kind, CAST(fetched_at AS DATE) AS fetched_on,
    row_number() OVER (ORDER BY fetched_at NULLS FIRST, sha256, name) AS age
FROM snapshot;

-- share: one row per listed share as a list once told it; `newest` of its exchange and code.
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
    SELECT told.* EXCLUDE (printed), i.isin, i.issuer, i.equity
    FROM told LEFT JOIN share_isin i USING (printed)
    WHERE i.equity OR (i.isin IS NULL AND exchange = 'BSE')
), by_code AS (  -- BSE never gives a code to another company
    SELECT code, arg_max(issuer, struct_pack(seen_on, age, row_number)) AS issuer
    FROM known WHERE exchange = 'BSE' AND issuer IS NOT NULL GROUP BY code
)
SELECT k.* EXCLUDE (issuer, equity),
    coalesce(k.issuer, b.issuer, 'BSE' || k.code) AS found_id,
    row_number() OVER (PARTITION BY k.exchange, k.code
        ORDER BY k.seen_on DESC, k.age DESC, k.row_number DESC) = 1 AS newest
FROM known k LEFT JOIN by_code b ON k.exchange = 'BSE' AND b.code = k.code;

-- ranked: as share, with the place of each row among those of its company: the newest of NSE's
-- ordinary shares first. IN9 is a share partly paid or of other votes, whose symbol is the longer.
CREATE OR REPLACE TEMP TABLE ranked AS
SELECT *, row_number() OVER (PARTITION BY found_id ORDER BY
    list_position(['NSE', 'BSE', 'INDEX'], exchange), newest DESC,
    coalesce(isin LIKE 'IN9%', false), seen_on DESC, age DESC, length(code), code,
    row_number DESC) AS place
FROM share;

-- found: one row per company of the lists.
CREATE OR REPLACE TEMP TABLE found AS
WITH listed AS (
    SELECT found_id, bool_or(lower(index_name) = 'nifty500') AS in_nifty500
    FROM constituent c JOIN share_isin i ON i.printed = c.isin JOIN share s ON s.isin = i.isin
    GROUP BY found_id
)
SELECT found_id,
    arg_min(CASE exchange WHEN 'BSE' THEN coalesce(issuer_name, security_name)
        ELSE security_name END, place) AS company_name,
    arg_min(symbol, place) FILTER (WHERE symbol IS NOT NULL AND (newest OR exchange = 'INDEX'))
        AS nse_symbol,
    arg_min(isin, place) FILTER (WHERE isin IS NOT NULL) AS isin,
    arg_max(industry, struct_pack(seen_on, age, row_number))
        FILTER (WHERE exchange = 'INDEX' AND industry IS NOT NULL) AS index_industry,
    arg_max(industry, struct_pack(seen_on, age, row_number, code))
        FILTER (WHERE exchange <> 'INDEX' AND industry IS NOT NULL) AS other_industry,
    min(listed_on) AS listed_on,
    coalesce(bool_and(status = 'delisted') FILTER (WHERE newest AND exchange <> 'INDEX'), false)
        AS delisted,
    arg_min(snapshot_id, place) AS snapshot_id,
    CASE WHEN EXISTS (SELECT 1 FROM constituent WHERE lower(index_name) = 'nifty500')
        THEN found_id IN (SELECT found_id FROM listed WHERE in_nifty500) END AS in_nifty500
FROM ranked
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
        WHERE g.old = c.symbol AND g.changed_on > e.changed_on AND g.changed_on <= c.until)
)
SELECT found_id, symbol, max(until) AS until FROM chain GROUP BY found_id, symbol;

-- named: one row per company and name; `former` is one that no list gives it today, `given_up` the
-- day of the change where NSE tells it.
CREATE OR REPLACE TEMP TABLE named AS
WITH listed AS (
    SELECT found_id, unnest([security_name, issuer_name]) AS name,
        newest AND exchange <> 'INDEX' AS today, seen_on, age, snapshot_id
    FROM share
), changed AS (
    SELECT i.*, h.found_id
    FROM identity_change i JOIN held h ON h.symbol = i.symbol AND h.until >= i.changed_on
    WHERE i.kind = 'name'
    QUALIFY h.until = min(h.until) OVER (PARTITION BY i.symbol, i.old, i.new, i.changed_on)
), told AS (
    SELECT found_id, name, today, CAST(NULL AS DATE) AS given_up, seen_on, age, snapshot_id
    FROM listed
    UNION ALL BY NAME
    SELECT found_id, unnest([old, new]) AS name, false AS today,
        unnest([changed_on, NULL]) AS given_up, a.fetched_on AS seen_on, age, snapshot_id
    FROM changed JOIN age a USING (snapshot_id)
), spelt AS (
    SELECT told.*, s.key FROM told JOIN spelling s USING (name) WHERE s.key <> ''
), today AS (
    -- A company that is on no exchange's list has the name under which an index last had it.
    SELECT DISTINCT found_id, key FROM spelt
    QUALIFY bool_or(today) OVER (PARTITION BY found_id, key)
        OR (NOT bool_or(today) OVER (PARTITION BY found_id)
            AND max(seen_on) OVER (PARTITION BY found_id, key)
                = max(seen_on) OVER (PARTITION BY found_id))
)
SELECT found_id, name, key, t.key IS NULL AS former,
    CASE WHEN t.key IS NULL THEN max(max(given_up)) OVER (PARTITION BY found_id, key) END
        AS given_up,
    arg_max(snapshot_id, age) AS snapshot_id
FROM spelt LEFT JOIN today t USING (found_id, key)
GROUP BY found_id, name, key, t.key;

-- registered: one row per company of the lists whose name of today one listed company of the
-- register alone has, and which alone of the lists has it.
CREATE OR REPLACE TEMP TABLE registered AS
WITH register AS (
    SELECT r.cin, s.key, r.snapshot_id
    FROM registered_company r JOIN age a USING (snapshot_id) JOIN spelling s ON s.name = company_name
    WHERE r.cin LIKE 'L%' AND lower(r.listing_status) = 'listed' AND NOT s.private AND s.key <> ''
    QUALIFY row_number() OVER (PARTITION BY r.cin ORDER BY a.age DESC, r.row_number DESC) = 1
)
SELECT any_value(n.found_id) AS found_id, any_value(r.cin) AS cin,
    max(r.snapshot_id) AS snapshot_id
FROM register r JOIN (SELECT DISTINCT found_id, key FROM named WHERE NOT former) n USING (key)
GROUP BY key
HAVING count(DISTINCT n.found_id) = 1 AND count(DISTINCT r.cin) = 1
QUALIFY count(*) OVER (PARTITION BY any_value(n.found_id)) = 1;

-- own: one row per company that a user's files name, and identifier.
CREATE OR REPLACE TEMP TABLE own AS
WITH given AS (
    SELECT x.company_id, x.kind, x.alias
    FROM alias x LEFT JOIN age a USING (snapshot_id) WHERE a.source IS NULL
    UNION
    SELECT company_id, kind, alias FROM (
        SELECT c.company_id, company_name, nse_symbol, isin, cin
        FROM company c LEFT JOIN age a USING (snapshot_id) WHERE a.source IS NULL
    ) UNPIVOT (alias FOR kind IN (company_name, nse_symbol, isin, cin))
)
SELECT g.company_id, g.kind, g.alias, i.issuer, s.key, coalesce(s.private, false) AS private
FROM given g
LEFT JOIN share_isin i ON g.kind = 'isin' AND i.printed = g.alias
LEFT JOIN spelling s ON g.kind = 'company_name' AND s.name = g.alias;

-- claim: one row per company of the lists and company of a user that may be it, best reason first.
-- An ISIN of another issuer speaks against a symbol, a code or a name.
CREATE OR REPLACE TEMP TABLE claim AS
WITH unlike AS (
    SELECT f.found_id, o.company_id
    FROM found f CROSS JOIN own o
    WHERE f.isin IS NOT NULL AND o.issuer IS NOT NULL
    GROUP BY ALL HAVING bool_and(o.issuer <> f.found_id)
), apart AS (  -- two symbols, neither of which both have had
    SELECT f.found_id, o.company_id
    FROM found f CROSS JOIN own o
    WHERE f.nse_symbol IS NOT NULL AND o.kind = 'nse_symbol'
    GROUP BY ALL HAVING bool_and(upper(o.alias) <> upper(f.nse_symbol))
), formerly AS (
    SELECT symbol, any_value(found_id) AS found_id FROM held
    WHERE symbol NOT IN (SELECT nse_symbol FROM found WHERE nse_symbol IS NOT NULL)
    GROUP BY symbol HAVING count(*) = 1
), of_name AS (
    SELECT key, any_value(found_id) AS found_id FROM (SELECT DISTINCT found_id, key FROM named)
    GROUP BY key HAVING count(*) = 1
), may AS (
    SELECT f.found_id, o.company_id, 1 AS rank
    FROM found f JOIN own o ON o.issuer = f.found_id
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
    SELECT n.found_id, o.company_id, 5
    FROM of_name n JOIN own o USING (key) ANTI JOIN apart a
        ON a.found_id = n.found_id AND a.company_id = o.company_id
    WHERE NOT o.private
)
SELECT found_id, company_id, min(rank) AS rank
FROM may ANTI JOIN unlike USING (found_id, company_id)
GROUP BY found_id, company_id;

-- identity: one row per company of the lists: its company_id. A user's company that is named like
-- one company and has the identifiers of another is the latter.
CREATE OR REPLACE TEMP TABLE identity AS
WITH best AS (
    SELECT * FROM claim
    QUALIFY rank < 5 OR min(rank) OVER (PARTITION BY company_id) = 5
), chosen AS (
    SELECT found_id, company_id FROM best
    QUALIFY row_number() OVER (PARTITION BY found_id ORDER BY rank, company_id) = 1
)
SELECT found_id, coalesce(c.company_id, found_id) AS company_id
FROM found LEFT JOIN chosen c USING (found_id);
