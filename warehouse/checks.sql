-- Data checks. Each query has a first comment with its name, its severity and what it asserts; it
-- returns one row per year that it could judge: company_id, fiscal_year_end, basis, actual,
-- expected, failed, detail. A row that fails is kept, flagged and counted.
-- Sums may differ by 1 % of the larger side or by INR 2 lakh; by INR 2.5 crore where most of
-- what was reported for the year is in whole crores, because rounding adds up to that.

-- balance_sheet | error | total assets = shareholders' funds + minority interest + liabilities
SELECT company_id, fiscal_year_end, basis, total_assets AS actual,
    total_equity + total_liabilities AS expected, differs(actual, expected, whole_crores) AS failed, '' AS detail
FROM checked WHERE actual IS NOT NULL AND expected IS NOT NULL;

-- two_sides | error | total assets = equity and liabilities
SELECT company_id, fiscal_year_end, basis, total_assets AS actual,
    equity_and_liabilities AS expected, differs(actual, expected, whole_crores) AS failed, '' AS detail
FROM checked WHERE actual IS NOT NULL AND expected IS NOT NULL;

-- shareholders_funds | error | share capital + reserves = shareholders' funds
SELECT company_id, fiscal_year_end, basis, equity_share_capital + reserves_and_surplus AS actual,
    shareholders_funds AS expected, differs(actual, expected, whole_crores) AS failed, '' AS detail
FROM checked WHERE actual IS NOT NULL AND expected IS NOT NULL;

-- current_assets | warning | cash, investments, receivables and inventories fit in current assets
SELECT company_id, fiscal_year_end, basis,
    coalesce(cash, 0) + coalesce(current_investments, 0) + coalesce(trade_receivables, 0)
        + coalesce(inventories, 0) AS actual,
    current_assets AS expected, exceeds(actual, expected, whole_crores) AS failed, '' AS detail
FROM checked WHERE expected IS NOT NULL
    AND coalesce(cash, current_investments, trade_receivables, inventories) IS NOT NULL;

-- current_liabilities | warning | payables, short-term debt and others fit in current liabilities
SELECT company_id, fiscal_year_end, basis,
    coalesce(trade_payables, 0) + coalesce(short_term_borrowings, 0)
        + coalesce(other_current_liabilities, 0) AS actual,
    current_liabilities AS expected, exceeds(actual, expected, whole_crores) AS failed, '' AS detail
FROM checked WHERE expected IS NOT NULL
    AND coalesce(trade_payables, short_term_borrowings, other_current_liabilities) IS NOT NULL;

-- non_current_liabilities | warning | long-term borrowings fit in non-current liabilities
SELECT company_id, fiscal_year_end, basis, long_term_borrowings AS actual,
    non_current_liabilities AS expected, exceeds(actual, expected, whole_crores) AS failed, '' AS detail
FROM checked WHERE actual IS NOT NULL AND expected IS NOT NULL;

-- assets | warning | current assets, fixed assets and work in progress fit in total assets
SELECT company_id, fiscal_year_end, basis,
    current_assets + fixed_assets + coalesce(capital_work_in_progress, 0) AS actual,
    total_assets AS expected, exceeds(actual, expected, whole_crores) AS failed, '' AS detail
FROM checked WHERE actual IS NOT NULL AND expected IS NOT NULL;

-- revenue | error | sales + other income = revenue
SELECT company_id, fiscal_year_end, basis, sales + other_income AS actual,
    revenue AS expected, differs(actual, expected, whole_crores) AS failed, '' AS detail
FROM checked WHERE actual IS NOT NULL AND expected IS NOT NULL;

-- expenses | error | the expense lines, where all are given, sum to total expenses
SELECT company_id, fiscal_year_end, basis,
    cost_of_goods_sold + employee_benefits + other_expenses + depreciation + finance_costs
        AS actual,
    total_expenses AS expected, differs(actual, expected, whole_crores) AS failed, '' AS detail
FROM checked WHERE actual IS NOT NULL AND expected IS NOT NULL;

-- profit_before_tax | error | total expenses - exceptional items + profit before tax = revenue
SELECT company_id, fiscal_year_end, basis,
    total_expenses - coalesce(exceptional_items, 0) + profit_before_tax AS actual,
    revenue AS expected, differs(actual, expected, whole_crores) AS failed, '' AS detail
FROM checked WHERE actual IS NOT NULL AND expected IS NOT NULL;

-- profit_after_tax | error | net profit + tax = profit before tax + share of associates + discontinued operations
SELECT company_id, fiscal_year_end, basis, net_profit + tax AS actual,
    profit_before_tax + coalesce(share_of_associates, 0) + coalesce(discontinued_operations, 0) AS expected, differs(actual, expected, whole_crores) AS failed, '' AS detail
FROM checked WHERE actual IS NOT NULL AND expected IS NOT NULL;

-- cash_flows | error | operating + investing + financing = net cash flow
SELECT company_id, fiscal_year_end, basis,
    operating_cash_flow + investing_cash_flow + financing_cash_flow AS actual,
    net_cash_flow AS expected, differs(actual, expected, whole_crores) AS failed, '' AS detail
FROM checked WHERE actual IS NOT NULL AND expected IS NOT NULL;

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
    greatest(value / before, before / value) >= 1000 AS failed, item AS detail
FROM (
    SELECT *, lag(value) OVER series AS before
    FROM stg_cell
    WHERE item IN ('total_assets', 'sales', 'revenue', 'current_assets', 'current_liabilities')
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
    CAST(fiscal_year_end - to_months(months) AS DATE) - before < -20 AS failed, '' AS detail
FROM (
    SELECT *, lag(fiscal_year_end) OVER series AS before
    FROM checked WINDOW series AS (PARTITION BY company_id, basis ORDER BY fiscal_year_end)
) WHERE before IS NOT NULL;

-- period_gap | warning | each period begins where the one before it ends
SELECT company_id, fiscal_year_end, basis, months AS actual,
    round((fiscal_year_end - before) / 30.44, 1) AS expected,
    CAST(fiscal_year_end - to_months(months) AS DATE) - before > 20 AS failed, '' AS detail
FROM (
    SELECT *, lag(fiscal_year_end) OVER series AS before
    FROM checked WINDOW series AS (PARTITION BY company_id, basis ORDER BY fiscal_year_end)
) WHERE before IS NOT NULL;
