-- Staging to the one wide table that ratios are computed from.
-- What stands behind a dollar sign is filled from items.py, fusion.py and periods.py.

-- correction: one row per known error of a source: those that come with the program and those of
-- users' files, of several of one figure the one loaded last.
CREATE OR REPLACE VIEW correction AS
SELECT * EXCLUDE (snapshot_id)
FROM (
    SELECT company_id, CAST(fiscal_year_end AS DATE) AS fiscal_year_end, basis, item, source,
        "wrong", "right", reason, reference, status, 0 AS snapshot_id
    FROM ($corrections)
    UNION ALL BY NAME
    SELECT * EXCLUDE (row_number) FROM user_correction
)
QUALIFY row_number() OVER (
    PARTITION BY company_id, fiscal_year_end, basis, item, source,
        coalesce(round(TRY_CAST("wrong" AS DOUBLE), 2)::VARCHAR, "wrong")
    ORDER BY snapshot_id DESC) = 1;

-- cell_correction: one row per wrong figure of a year, to two decimals of INR crore, and basis; what is
-- said of one basis goes before what is said of any. It replaces the figure where and as long as it
-- stands; without a right one the figure is left out.
CREATE OR REPLACE VIEW cell_correction AS
SELECT company_id, fiscal_year_end, each AS basis, item, source,
    round(TRY_CAST("wrong" AS DOUBLE), 2) AS wrong_value, CAST("right" AS DOUBLE) AS right_value
FROM correction JOIN (SELECT unnest([$bases]) AS each) ON basis IS NULL OR basis = each
WHERE fiscal_year_end IS NOT NULL
QUALIFY row_number() OVER (
    PARTITION BY company_id, fiscal_year_end, each, item, source, wrong_value
    ORDER BY basis IS NULL) = 1;

-- ranked_cell: one row per reported cell of a year that was known on the day `as_of` (a variable; all
-- are where it is not set), corrected where it is known to be wrong. available_from: the day of
-- filing, else $filing_days days after the year end, or the later day on which the figure was seen
-- changed. place: its place in the order of the sources, 0 a user's table. recency: the greater goes
-- first, which is the latest figure, or the first where the variable `vintage` says so. Interim figures
-- are no years. The variables first_company and next_company limit it to a part of the companies.
CREATE OR REPLACE VIEW ranked_cell AS
SELECT *, CASE WHEN getvariable('vintage') = 'first'
        THEN -date_diff('day', DATE '1970-01-01', available_from)
        ELSE coalesce(date_diff('day', DATE '1970-01-01', coalesce(filed_at, restated_on)), -99999)
    END AS recency
FROM (
    SELECT s.* REPLACE (CASE WHEN c.item IS NULL THEN s.value ELSE c.right_value END AS value),
        s.value AS reported, c.item IS NOT NULL AS corrected,
        coalesce(list_position([$places], s.source), 0) AS place,
        coalesce(filed_at, greatest(restated_on, s.fiscal_year_end + $filing_days)) AS available_from
    FROM statement_line s
    LEFT JOIN cell_correction c ON s.company_id = c.company_id AND s.item = c.item
        AND s.source = c.source AND s.fiscal_year_end = c.fiscal_year_end
        AND s.basis = c.basis AND round(s.value, 2) = c.wrong_value
    WHERE (getvariable('first_company') IS NULL OR s.company_id >= getvariable('first_company'))
        AND (getvariable('next_company') IS NULL OR s.company_id < getvariable('next_company'))
)
WHERE value IS NOT NULL AND note <> 'interim'
    AND (getvariable('as_of') IS NULL OR available_from <= getvariable('as_of'));

-- retold: one row per company, year end and basis with something to choose: told by several files,
-- sources or filings. One file gives an item of a source and filing once.
CREATE OR REPLACE VIEW retold AS
SELECT company_id, fiscal_year_end, basis
FROM ranked_cell
GROUP BY company_id, fiscal_year_end, basis
HAVING min(snapshot_id) <> max(snapshot_id) OR min(source) <> max(source)
    OR min(available_from) <> max(available_from)
    OR count(filed_at) BETWEEN 1 AND count(*) - 1;

-- statement_source: one row per company, year end, basis and statement in documents: the source that
-- it is taken from, because sources part costs differently and a mixture adds up to nothing. The first
-- in order that has at least half as many lines as the fullest.
CREATE OR REPLACE VIEW statement_source AS
WITH item_of (item, statement) AS (VALUES $item_statements),
counted AS (
    SELECT company_id, fiscal_year_end, basis, statement, place, count(DISTINCT item) AS lines
    FROM ranked_cell
    SEMI JOIN retold USING (company_id, fiscal_year_end, basis)
    JOIN item_of USING (item)
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
-- derived or estimated, a user's table before a document, then the more recent (see ranked_cell), a
-- later load before an earlier one. Most years have nothing to choose, so all of one source, and are
-- passed through (chosen is false).
CREATE OR REPLACE VIEW stg_cell AS
WITH choice AS MATERIALIZED (FROM retold)
SELECT company_id, fiscal_year_end, basis, item, value, months, source, note, filed_at,
    available_from, corrected, place, false AS chosen
FROM ranked_cell ANTI JOIN choice USING (company_id, fiscal_year_end, basis)
UNION ALL
SELECT c.company_id, c.fiscal_year_end, c.basis, c.item, value, months, source, note, filed_at,
    available_from, corrected, c.place, true AS chosen
FROM (FROM ranked_cell SEMI JOIN choice USING (company_id, fiscal_year_end, basis)) c
LEFT JOIN statement_source s ON c.place > 0 AND c.company_id = s.company_id
    AND c.fiscal_year_end = s.fiscal_year_end AND c.basis = s.basis AND c.item = s.item
WHERE c.place = 0 OR c.place = s.place
QUALIFY row_number() OVER (
    PARTITION BY c.company_id, c.fiscal_year_end, c.basis, c.item
    ORDER BY note = 'proxy', note = 'derived', c.place, recency DESC,
        CASE WHEN getvariable('vintage') = 'first' THEN -snapshot_id ELSE snapshot_id END DESC,
        CASE WHEN getvariable('vintage') = 'first' THEN -row_number ELSE row_number END DESC
) = 1;

-- stg_statement: one row per company, year end and basis; one column per item.
CREATE OR REPLACE VIEW stg_statement AS
SELECT * EXCLUDE (items, figures),
    $item_columns
FROM (
    SELECT company_id, fiscal_year_end, basis, year(fiscal_year_end) AS fiscal_year,
        max(months) AS months, max(filed_at) AS filed_at,
        coalesce(mode(source ORDER BY place) FILTER (WHERE chosen), min(source)) AS source,
        max(available_from) AS available_from, count(*) AS n_items,
        avg(CAST(value = round(value) AS INTEGER)) FILTER (WHERE note = 'reported') > 0.5
            AS whole_crores,
        count(*) FILTER (WHERE note = 'proxy') AS n_proxy,
        string_agg(item, ', ' ORDER BY item) FILTER (WHERE note = 'proxy') AS proxies,
        list(item) AS items, list(value) AS figures
    FROM stg_cell
    GROUP BY company_id, fiscal_year_end, basis
);

-- statement_year: as stg_statement, with the derived items.
CREATE OR REPLACE VIEW statement_year AS
SELECT *,
    $derived_columns
FROM stg_statement;

-- event: one row per company, type and date of an event until the day `as_of`: as the latest load
-- tells it. A correction replaces the date of an event as it does a figure.
CREATE OR REPLACE VIEW event AS
SELECT *
FROM (
    SELECT e.* REPLACE (CASE WHEN c.item IS NULL THEN e.event_date
            ELSE CAST(c."right" AS DATE) END AS event_date,
        e.usable AND (c.item IS NULL OR c."right" IS NOT NULL) AS usable)
    FROM insolvency_event e
    LEFT JOIN correction c ON e.company_id = c.company_id AND e.event_type = c.item
        AND e.source = c.source AND e.event_date = TRY_CAST(c."wrong" AS DATE)
)
WHERE getvariable('as_of') IS NULL OR event_date IS NULL OR event_date <= getvariable('as_of')
QUALIFY row_number() OVER (
    PARTITION BY company_id, company_name, event_type, event_date
    ORDER BY snapshot_id DESC, row_number DESC) = 1;

-- member: one row per company and list of an index that was there on the day `as_of`.
CREATE OR REPLACE VIEW member AS
SELECT company_id, index_name, list_date
FROM index_member
WHERE getvariable('as_of') IS NULL OR list_date <= getvariable('as_of');

-- known_macro: one row per series and calendar year that was over by the day `as_of`. First estimates
-- and revisions are not kept apart: values are those of the latest load.
CREATE OR REPLACE VIEW known_macro AS
SELECT series, year, value
FROM macro
WHERE getvariable('as_of') IS NULL OR year < year(CAST(getvariable('as_of') AS DATE));

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

-- one_basis: one row per company and year end: of the one basis that all years of the company are
-- taken from, so that years can be compared. That is the basis with most years that are at least half
-- as full as the company's fullest; consolidated accounts where that leaves a tie, then standalone.
DROP VIEW IF EXISTS company_basis;
CREATE OR REPLACE VIEW one_basis AS
SELECT * EXCLUDE (fullest, full_years)
FROM (
    SELECT *, count(*) FILTER (WHERE 2 * n_items >= fullest)
            OVER (PARTITION BY company_id, basis) AS full_years
    FROM (SELECT *, max(n_items) OVER (PARTITION BY company_id) AS fullest FROM statement_year)
)
QUALIFY rank() OVER (
    PARTITION BY company_id ORDER BY full_years DESC, list_position([$bases], basis)) = 1;

-- period: one row per company and year end, of its one basis, with the figures of the period before
-- it (prev_): the one that ends where this one begins, within $gap_days days. Where none does, there
-- is a gap or an overlap, and they are NULL.
CREATE OR REPLACE VIEW period AS
SELECT * REPLACE (greatest(available_from, last_value(available_from) OVER before)
        AS available_from),
    last_value(fiscal_year_end) OVER before AS prev_fiscal_year_end,
    $previous_columns
FROM (
    SELECT *, max(n_items) OVER (PARTITION BY company_id, fiscal_year) AS fullest_of_year
    FROM one_basis
)
WINDOW before AS (
    PARTITION BY company_id
    -- A thin second year end of a calendar year precedes nothing: it stands before all time.
    ORDER BY CASE WHEN 2 * n_items >= fullest_of_year THEN fiscal_year_end ELSE DATE '1900-01-01' END
    RANGE BETWEEN (to_months(months) + INTERVAL $gap_days DAY) PRECEDING
        AND (to_months(months) - INTERVAL $gap_days DAY) PRECEDING);

-- statements: one row per company and fiscal year, the calendar year of the year end. Of two year
-- ends in one calendar year the later one, unless it ends a period of under $whole_months months or
-- has less than half the lines of the other; the check duplicate_year names both. (Year ends differ,
-- so rank is row_number, which DuckDB would answer with all rows in memory.)
CREATE OR REPLACE VIEW statements AS
SELECT * EXCLUDE (fullest_of_year)
FROM period
QUALIFY rank() OVER (
    PARTITION BY company_id, fiscal_year
    ORDER BY months >= $whole_months DESC, 2 * n_items >= fullest_of_year DESC, fiscal_year_end DESC) = 1;

-- company_kind(years): one row per company: whether it is a bank, NBFC or insurer, and how that is
-- known. Where no companies file says so, the layout of its years (`statements`, or a table of such
-- rows) does: no stock or materials in any year, hardly any fixed assets, and more debt than equity.
DROP VIEW IF EXISTS company_kind;
CREATE OR REPLACE MACRO company_kind(years) AS TABLE
WITH layout AS (
    SELECT company_id,
        coalesce(max(inventories), 0) <= 0 AND coalesce(max(cost_of_materials), 0) <= 0
            AND coalesce(avg(fixed_assets / total_assets), 1) < $bank_fixed_assets
            AND coalesce(avg(total_debt / shareholders_funds), 0) > $bank_debt AS looks_financial
    FROM query_table(years)
    GROUP BY company_id
)
SELECT company_id, coalesce(is_financial, looks_financial, false) AS is_financial,
    CASE WHEN is_financial IS NOT NULL THEN 'companies file' ELSE 'statement layout' END AS how
FROM company LEFT JOIN layout USING (company_id);
