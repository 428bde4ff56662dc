"""Scrapers of public sources into the warehouse. No source is built yet: see CHANGELOG.md."""
