"""The DuckDB warehouse: canonical line items, provenance per cell, checks. Imports none of the other packages."""
