-- Version 2: what the scrapers bring. A snapshot may come from a URL, and two URLs may have the
-- same bytes. `source` is NULL for a user's file.
CREATE TABLE snapshot_2 (
    snapshot_id INTEGER PRIMARY KEY DEFAULT nextval('snapshot_id_seq'),
    sha256 VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    url VARCHAR,
    bytes BIGINT NOT NULL,
    rows BIGINT NOT NULL,
    loaded_at TIMESTAMP NOT NULL DEFAULT current_localtimestamp(),
    source VARCHAR,
    fetched_at TIMESTAMP,
    UNIQUE (sha256, name, fetched_at)
);
INSERT INTO snapshot_2 SELECT *, NULL, NULL FROM snapshot;
DROP TABLE snapshot;
ALTER TABLE snapshot_2 RENAME TO snapshot;

-- One row per crawl of a source: up to which of its documents (microseconds of fetching) it has
-- been loaded, and how many rows they gave.
CREATE TABLE crawl (
    source VARCHAR NOT NULL,
    crawl VARCHAR NOT NULL,
    loaded_until BIGINT NOT NULL,
    rows BIGINT NOT NULL,
    PRIMARY KEY (source, crawl)
);

-- One row per security of an exchange's list: NSE equities, BSE active, suspended and delisted.
CREATE TABLE security (
    exchange VARCHAR NOT NULL,
    code VARCHAR NOT NULL,
    symbol VARCHAR,
    isin VARCHAR,
    security_name VARCHAR NOT NULL,
    issuer_name VARCHAR,
    status VARCHAR NOT NULL,
    series VARCHAR,
    industry VARCHAR,
    listed_on DATE,
    source VARCHAR NOT NULL,
    snapshot_id INTEGER NOT NULL,
    row_number BIGINT NOT NULL
);

-- One row per change of an NSE symbol or of a company's name.
CREATE TABLE identity_change (
    kind VARCHAR NOT NULL,
    symbol VARCHAR NOT NULL,
    old VARCHAR NOT NULL,
    new VARCHAR NOT NULL,
    changed_on DATE NOT NULL,
    source VARCHAR NOT NULL,
    snapshot_id INTEGER NOT NULL,
    row_number BIGINT NOT NULL
);

-- One row per member of a dated list of an index.
CREATE TABLE constituent (
    index_name VARCHAR NOT NULL,
    list_date DATE NOT NULL,
    security_name VARCHAR NOT NULL,
    industry VARCHAR,
    symbol VARCHAR NOT NULL,
    isin VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    snapshot_id INTEGER NOT NULL,
    row_number BIGINT NOT NULL
);

-- One row per company of the register of companies (MCA).
CREATE TABLE registered_company (
    cin VARCHAR NOT NULL,
    company_name VARCHAR NOT NULL,
    listing_status VARCHAR,
    company_status VARCHAR,
    source VARCHAR NOT NULL,
    snapshot_id INTEGER NOT NULL,
    row_number BIGINT NOT NULL
);

-- One row per code by which moneycontrol knows a security.
CREATE TABLE moneycontrol_code (
    code VARCHAR NOT NULL,
    slug VARCHAR NOT NULL,
    security_name VARCHAR NOT NULL,
    isin VARCHAR,
    symbol VARCHAR,
    bse_code VARCHAR,
    source VARCHAR NOT NULL,
    snapshot_id INTEGER NOT NULL,
    row_number BIGINT NOT NULL
);

-- One row per financial result that a company filed with an exchange. A revision is a row too.
CREATE TABLE filing (
    filing_id VARCHAR NOT NULL,
    symbol VARCHAR NOT NULL,
    isin VARCHAR,
    company_name VARCHAR NOT NULL,
    basis VARCHAR NOT NULL,
    period_start DATE,
    period_end DATE NOT NULL,
    fiscal_year_start DATE,
    fiscal_year_end DATE,
    audited BOOLEAN NOT NULL,
    form VARCHAR,
    revision BOOLEAN NOT NULL,
    broadcast_at TIMESTAMP,
    xbrl_path VARCHAR,
    source VARCHAR NOT NULL,
    snapshot_id INTEGER NOT NULL,
    row_number BIGINT NOT NULL
);

-- One row per public announcement of an insolvency process, as IBBI lists it.
CREATE TABLE announcement (
    announcement_type VARCHAR NOT NULL,
    announced_on DATE NOT NULL,
    claims_until DATE,
    debtor_name VARCHAR NOT NULL,
    cin VARCHAR,
    applicant VARCHAR,
    professional VARCHAR,
    remarks VARCHAR,
    pdf_url VARCHAR,
    source VARCHAR NOT NULL,
    snapshot_id INTEGER NOT NULL,
    row_number BIGINT NOT NULL
);

-- One row per insolvency process on a debtor's own page: commenced_on is the admission.
CREATE TABLE process (
    cin VARCHAR NOT NULL,
    commenced_on DATE,
    state VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    snapshot_id INTEGER NOT NULL,
    row_number BIGINT NOT NULL
);

-- One row per order of a tribunal or court on an insolvency.
CREATE TABLE insolvency_order (
    court VARCHAR NOT NULL,
    ordered_on DATE NOT NULL,
    subject VARCHAR NOT NULL,
    debtor_name VARCHAR,
    remarks VARCHAR NOT NULL,
    pdf_url VARCHAR,
    source VARCHAR NOT NULL,
    snapshot_id INTEGER NOT NULL,
    row_number BIGINT NOT NULL
);

-- One row per ratio that a site publishes: to compare with, never a feature.
CREATE TABLE published_ratio (
    company_id VARCHAR NOT NULL,
    fiscal_year_end DATE NOT NULL,
    basis VARCHAR NOT NULL,
    ratio VARCHAR NOT NULL,
    value DOUBLE NOT NULL,
    source VARCHAR NOT NULL,
    snapshot_id INTEGER NOT NULL,
    row_number BIGINT NOT NULL
);

-- One row per row of a source that was not loaded, and why.
CREATE TABLE quarantine (
    source VARCHAR NOT NULL,
    snapshot_id INTEGER NOT NULL,
    row_number BIGINT NOT NULL,
    reason VARCHAR NOT NULL,
    content VARCHAR NOT NULL
);

-- One row per debtor and company that may be the same; `certainty` is certain, probable or
-- ambiguous. Only the first two, or a decision 'yes' of a person, label a company.
CREATE TABLE debtor_match (
    debtor_name VARCHAR NOT NULL,
    cin VARCHAR NOT NULL,
    company_id VARCHAR NOT NULL,
    certainty VARCHAR NOT NULL,
    score DOUBLE NOT NULL,
    how VARCHAR NOT NULL,
    decision VARCHAR
);
