-- Staging to the one wide table that ratios are computed from.
-- What stands behind a dollar sign is filled from the tables of items.py.

-- ranked_cell: one row per reported cell of a year, with its place in the order of the sources: 0 a
-- user's table, then documents: filings, statement pages, workbooks, summaries of results. Interim
-- figures are no years.
CREATE OR REPLACE VIEW ranked_cell AS
SELECT *, coalesce(list_position(
        ['nse xbrl', 'xbrl filing', 'moneycontrol', 'moneycontrol api', 'screener.in workbook',
         'bse results'], source), 0) AS place
FROM statement_line
WHERE value IS NOT NULL AND note <> 'interim';

-- statement_source: one row per company, year end, basis and statement in documents: the source that
-- it is taken from, because sources part costs differently and a mixture adds up to nothing. The first
-- in order that has at least half as many lines as the fullest.
CREATE OR REPLACE VIEW statement_source AS
WITH item_of (item, statement) AS (VALUES $item_statements),
counted AS (
    SELECT company_id, fiscal_year_end, basis, statement, place, count(DISTINCT item) AS lines
    FROM ranked_cell JOIN item_of USING (item)
    WHERE place > 0
    GROUP BY ALL
)
SELECT company_id, fiscal_year_end, basis, item_of.item,
    coalesce(min(place) FILTER (WHERE 2 * lines >= most_lines), min(place)) AS place
FROM (
    SELECT *, max(lines) OVER (
        PARTITION BY company_id, fiscal_year_end, basis, statement) AS most_lines
    FROM counted
) JOIN item_of USING (statement)
GROUP BY ALL;

-- stg_cell: one row per company, year end, basis and item. What was reported goes before what was
-- derived or estimated, a user's table before a document, a later filing before an earlier one, a
-- later load before an earlier one.
CREATE OR REPLACE VIEW stg_cell AS
SELECT c.company_id, c.fiscal_year_end, c.basis, c.item, value, months, source, note, filed_at
FROM ranked_cell c
LEFT JOIN statement_source s ON c.place > 0 AND c.company_id = s.company_id
    AND c.fiscal_year_end = s.fiscal_year_end AND c.basis = s.basis AND c.item = s.item
WHERE c.place = 0 OR c.place = s.place
QUALIFY row_number() OVER (
    PARTITION BY c.company_id, c.fiscal_year_end, c.basis, c.item
    ORDER BY note = 'proxy', note = 'derived', c.place, filed_at DESC NULLS LAST,
        snapshot_id DESC, row_number DESC
) = 1;

-- stg_statement: one row per company, year end and basis; one column per item.
CREATE OR REPLACE VIEW stg_statement AS
SELECT company_id, fiscal_year_end, basis, year(fiscal_year_end) AS fiscal_year,
    max(months) AS months, mode(source) AS source, max(filed_at) AS filed_at,
    avg(CAST(value = round(value) AS INTEGER)) FILTER (WHERE note = 'reported') > 0.5
        AS whole_crores,
    count(*) FILTER (WHERE note = 'proxy') AS n_proxy,
    string_agg(item, ', ' ORDER BY item) FILTER (WHERE note = 'proxy') AS proxies,
    $item_columns
FROM stg_cell
GROUP BY company_id, fiscal_year_end, basis;

-- statement_year: as stg_statement, with the derived items.
CREATE OR REPLACE VIEW statement_year AS
SELECT *,
    $derived_columns
FROM stg_statement;

-- company_basis: one row per company: consolidated where there is any, for all its years.
CREATE OR REPLACE VIEW company_basis AS
SELECT company_id,
    CASE WHEN bool_or(basis = 'consolidated') THEN 'consolidated'
         WHEN bool_or(basis = 'standalone') THEN 'standalone'
         ELSE 'unstated' END AS basis
FROM statement_line
WHERE value IS NOT NULL
GROUP BY company_id;

-- event: one row per company, type and date of an event: as the latest load tells it.
CREATE OR REPLACE VIEW event AS
SELECT *
FROM insolvency_event
QUALIFY row_number() OVER (
    PARTITION BY company_id, company_name, event_type, event_date
    ORDER BY snapshot_id DESC, row_number DESC) = 1;

-- universe: one row per company whose statements are wanted: a member of the index on any list, or
-- one with an insolvency event that is no voluntary liquidation; and the codes it is known by.
CREATE OR REPLACE VIEW universe AS
WITH code AS (
    SELECT company_id, max(alias) FILTER (WHERE kind = 'bse_code') AS bse_code
    FROM alias GROUP BY company_id
), moneycontrol AS (
    SELECT a.company_id, m.code AS moneycontrol_code, m.slug AS moneycontrol_slug
    FROM alias a JOIN moneycontrol_code m ON a.kind = 'moneycontrol_code' AND a.alias = m.code
    QUALIFY row_number() OVER (
        PARTITION BY a.company_id ORDER BY m.snapshot_id DESC, m.row_number DESC) = 1
)
SELECT c.company_id, c.company_name, c.nse_symbol, c.isin, code.bse_code, c.cin,
    m.moneycontrol_code, m.moneycontrol_slug
FROM company c
LEFT JOIN code USING (company_id)
LEFT JOIN moneycontrol m USING (company_id)
WHERE c.in_nifty500 OR c.company_id IN (SELECT company_id FROM index_member)
    OR c.company_id IN (
        SELECT company_id FROM insolvency_event
        WHERE company_id IS NOT NULL AND event_type <> 'voluntary_liquidation');

-- statements: one row per company and fiscal year, the calendar year of the year end. Of two year
-- ends in one calendar year the later one, unless it ends a period of under nine months; the check
-- duplicate_year names both.
CREATE OR REPLACE VIEW statements AS
WITH one_a_year AS (
    SELECT s.*
    FROM statement_year s
    JOIN company_basis USING (company_id, basis)
    QUALIFY row_number() OVER (
        PARTITION BY company_id, fiscal_year
        ORDER BY months >= 9 DESC, fiscal_year_end DESC) = 1
)
SELECT *,
    coalesce(filed_at, CAST(fiscal_year_end + INTERVAL 60 DAY AS DATE)) AS available_from,
    $previous_columns
FROM one_a_year;

-- company_kind: one row per company: whether it is a bank, NBFC or insurer, and how that is known.
-- Where no companies file says so, the layout does: no stock or materials in any year, hardly any
-- fixed assets, and more debt than equity.
CREATE OR REPLACE VIEW company_kind AS
WITH layout AS (
    SELECT company_id,
        coalesce(max(inventories), 0) <= 0 AND coalesce(max(cost_of_materials), 0) <= 0
            AND coalesce(avg(fixed_assets / total_assets), 1) < 0.05
            AND coalesce(avg(total_debt / shareholders_funds), 0) > 1 AS looks_financial
    FROM statements
    GROUP BY company_id
)
SELECT company_id, coalesce(is_financial, looks_financial, false) AS is_financial,
    CASE WHEN is_financial IS NOT NULL THEN 'companies file' ELSE 'statement layout' END AS how
FROM company LEFT JOIN layout USING (company_id);
