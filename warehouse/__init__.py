"""The DuckDB warehouse: canonical items, provenance per cell, checks. Imports no other package."""
