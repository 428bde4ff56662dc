"""The sources: one module each, with SOURCE, crawl(fetch) and parse(snapshot)."""
