-- Version 3: what was known when. restated_on, where there is no filing date: the day on which a
-- source's figure was first seen changed, or the day that a user's file gives as available_from.
ALTER TABLE statement_line ADD COLUMN restated_on DATE;

-- One row per known error of a source, as users' corrections files tell it.
CREATE TABLE user_correction (
    company_id VARCHAR NOT NULL,
    fiscal_year_end DATE,
    basis VARCHAR,
    item VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    "wrong" VARCHAR NOT NULL,
    "right" VARCHAR,
    reason VARCHAR NOT NULL,
    reference VARCHAR,
    status VARCHAR,
    snapshot_id INTEGER NOT NULL,
    row_number BIGINT NOT NULL
);

-- One row per cell and pair of sources that differ by more than rounding when `check` last ran;
-- factor is the mistake of scale (10, 100, 1e4, 1e5, 1e7) that would explain it, else NULL.
CREATE TABLE disagreement (
    company_id VARCHAR NOT NULL,
    fiscal_year_end DATE NOT NULL,
    basis VARCHAR NOT NULL,
    item VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    value DOUBLE NOT NULL,
    other_source VARCHAR NOT NULL,
    other_value DOUBLE NOT NULL,
    difference DOUBLE NOT NULL,
    relative DOUBLE,
    factor DOUBLE
);
