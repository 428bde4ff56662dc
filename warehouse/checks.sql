-- Data checks beside those that compare two sums (identities.py). Each query has a first comment with
-- its name, its severity and what it asserts; it returns one row per year that it could judge:
-- company_id, fiscal_year_end, basis, actual, expected, failed, detail. A row that fails is kept,
-- flagged and counted.

-- derived_items | error | a derived item that is stated equals what its parts give
SELECT company_id, fiscal_year_end, basis, stated AS actual, parts AS expected,
    differs(actual, expected, whole_crores) AS failed, item AS detail
FROM ($stated_and_parts) WHERE actual IS NOT NULL AND expected IS NOT NULL;

-- sign | warning | items that cannot be negative are not
SELECT company_id, fiscal_year_end, basis, value AS actual, 0 AS expected,
    value < 0 AS failed, item AS detail
FROM stg_cell WHERE item IN ($non_negative);

-- scale_jump | error | no total jumps 1,000-fold from one year to the next
SELECT company_id, fiscal_year_end, basis, value AS actual, before AS expected,
    greatest(value / before, before / value) >= $jump AS failed, item AS detail
FROM (
    SELECT *, lag(value) OVER series AS before
    FROM stg_cell
    WHERE item IN ($totals)
        AND value > 0
    WINDOW series AS (PARTITION BY company_id, basis, item ORDER BY fiscal_year_end)
) WHERE before IS NOT NULL;

-- duplicate_year | warning | one year end in each calendar year
SELECT company_id, fiscal_year_end, basis, count(*) OVER same_year AS actual, 1 AS expected,
    actual > 1 AS failed, fiscal_year::VARCHAR AS detail
FROM checked WINDOW same_year AS (PARTITION BY company_id, basis, fiscal_year);

-- period_overlap | warning | no period begins before the one before it ends
SELECT company_id, fiscal_year_end, basis, months AS actual,
    round((fiscal_year_end - before) / 30.44, 1) AS expected,
    CAST(fiscal_year_end - to_months(months) AS DATE) - before < -$gap_days AS failed, '' AS detail
FROM (
    SELECT *, lag(fiscal_year_end) OVER series AS before
    FROM checked WINDOW series AS (PARTITION BY company_id, basis ORDER BY fiscal_year_end)
) WHERE before IS NOT NULL;

-- period_gap | warning | each period begins where the one before it ends
SELECT company_id, fiscal_year_end, basis, months AS actual,
    round((fiscal_year_end - before) / 30.44, 1) AS expected,
    CAST(fiscal_year_end - to_months(months) AS DATE) - before > $gap_days AS failed, '' AS detail
FROM (
    SELECT *, lag(fiscal_year_end) OVER series AS before
    FROM checked WINDOW series AS (PARTITION BY company_id, basis ORDER BY fiscal_year_end)
) WHERE before IS NOT NULL;
