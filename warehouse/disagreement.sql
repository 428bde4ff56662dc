-- Cells that two sources tell differently by more than rounding, in the companies that views are
-- limited to. A value in whole crores is exact to one crore, others to one lakh. Of each source its
-- most recent figure, corrected; the source that goes first is `source`.
INSERT INTO disagreement
WITH several AS (
    SELECT company_id
    FROM ranked_cell
    GROUP BY company_id
    HAVING min(source) <> max(source)
), told AS (
    SELECT company_id, fiscal_year_end, basis, item, source, value, place, note,
        CASE WHEN value = round(value) THEN 1.0 ELSE 0.01 END AS step
    FROM ranked_cell SEMI JOIN several USING (company_id)
    QUALIFY row_number() OVER (
        PARTITION BY company_id, fiscal_year_end, basis, item, source
        ORDER BY recency DESC, snapshot_id DESC, row_number DESC) = 1
), pair AS (
    SELECT a.company_id, a.fiscal_year_end, a.basis, a.item, a.source, a.value,
        b.source AS other_source, b.value AS other_value, b.value - a.value AS difference,
        difference / nullif(abs(a.value), 0) AS relative, abs(b.value / nullif(a.value, 0)) AS times
    FROM told a
    JOIN told b USING (company_id, fiscal_year_end, basis, item)
    WHERE (a.note = 'proxy', a.note = 'derived', a.place, a.source)
        < (b.note = 'proxy', b.note = 'derived', b.place, b.source)
        AND abs(difference) > greatest(a.step, b.step) + 1e-6  -- binary fractions
)
SELECT * EXCLUDE (times),
    list_filter([$factors], lambda f: times BETWEEN 0.995 * f AND 1.005 * f
        OR times BETWEEN 0.995 / f AND 1.005 / f)[1] AS factor
FROM pair;
