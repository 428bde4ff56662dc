-- Schema of the warehouse, version 1. Amounts are INR crore.
CREATE SEQUENCE snapshot_id_seq;

-- One row per file or page that was loaded: its bytes are named by their SHA-256.
CREATE TABLE snapshot (
    snapshot_id INTEGER PRIMARY KEY DEFAULT nextval('snapshot_id_seq'),
    sha256 VARCHAR NOT NULL UNIQUE,
    kind VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    url VARCHAR,
    bytes BIGINT NOT NULL,
    rows BIGINT NOT NULL,
    loaded_at TIMESTAMP NOT NULL DEFAULT current_localtimestamp()
);

-- One row per company.
CREATE TABLE company (
    company_id VARCHAR PRIMARY KEY,
    company_name VARCHAR,
    nse_symbol VARCHAR,
    isin VARCHAR,
    cin VARCHAR,
    sector VARCHAR,
    is_financial BOOLEAN,
    in_nifty500 BOOLEAN,
    snapshot_id INTEGER NOT NULL
);

-- One row per identifier under which a company was seen.
CREATE TABLE alias (
    kind VARCHAR NOT NULL,
    alias VARCHAR NOT NULL,
    company_id VARCHAR NOT NULL,
    snapshot_id INTEGER NOT NULL,
    PRIMARY KEY (kind, alias, company_id)
);

-- One row per company and dated list of index members.
CREATE TABLE index_member (
    company_id VARCHAR NOT NULL,
    index_name VARCHAR NOT NULL,
    list_date DATE NOT NULL,
    snapshot_id INTEGER NOT NULL,
    PRIMARY KEY (company_id, index_name, list_date)
);

-- One row per reported cell of one snapshot. A NULL value was given as empty.
CREATE TABLE statement_line (
    company_id VARCHAR NOT NULL,
    fiscal_year_end DATE NOT NULL,
    basis VARCHAR NOT NULL,
    item VARCHAR NOT NULL,
    value DOUBLE,
    unit VARCHAR NOT NULL,
    months SMALLINT NOT NULL,
    source VARCHAR NOT NULL,
    note VARCHAR NOT NULL,
    filed_at DATE,
    snapshot_id INTEGER NOT NULL,
    row_number BIGINT NOT NULL
);

-- One row per reported event; company_id is NULL until the debtor is matched.
CREATE TABLE insolvency_event (
    company_id VARCHAR,
    company_name VARCHAR,
    cin VARCHAR,
    event_type VARCHAR NOT NULL,
    event_date DATE,
    source VARCHAR,
    confidence VARCHAR,
    usable BOOLEAN NOT NULL,
    snapshot_id INTEGER NOT NULL,
    row_number BIGINT NOT NULL
);

-- One row per series and calendar year, in per cent.
CREATE TABLE macro (
    series VARCHAR NOT NULL,
    year SMALLINT NOT NULL,
    value DOUBLE,
    snapshot_id INTEGER NOT NULL,
    PRIMARY KEY (series, year)
);

-- One row per row that failed a data check when `check` last ran.
CREATE TABLE check_failure (
    check_name VARCHAR NOT NULL,
    severity VARCHAR NOT NULL,
    company_id VARCHAR NOT NULL,
    fiscal_year_end DATE NOT NULL,
    basis VARCHAR NOT NULL,
    actual DOUBLE,
    expected DOUBLE,
    detail VARCHAR
);

-- One row per run of a command that changes the warehouse.
CREATE TABLE run (
    started_at TIMESTAMP NOT NULL,
    finished_at TIMESTAMP NOT NULL,
    command VARCHAR NOT NULL,
    summary VARCHAR NOT NULL
);
