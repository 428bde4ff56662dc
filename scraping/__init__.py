"""Scrapers of public sources: fetch politely, keep what came, parse strictly, match, load."""
