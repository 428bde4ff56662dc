"""Time and memory of a replay: stored statement pages into a warehouse, without a network.

    python benchmarks/replay.py [--pages 10000] [--kilobytes 150]

The pages are those of a replica of moneycontrol (simulated companies), as large as a real page is
reported to be. They are put into a store of documents; then `python -m scraping --replay` is timed
as a process of its own, on a fifth of the pages and on all, to see whether memory grows with them.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPO), str(REPO / "tests")]

from replica_base import Ask, Sites  # noqa: E402
from replica_pages import SITES, answer  # noqa: E402
from replica_world import World  # noqa: E402

from scraping.snapshots import Store  # noqa: E402
from scraping.source import Snapshot  # noqa: E402
from scraping.sources.moneycontrol_pages import ADDRESSES, BASES  # noqa: E402

ROOT = "http://127.0.0.1:9"  # nobody is asked


def pages(sites: Sites) -> Iterator[tuple[str, dict[str, str], bytes]]:
    """Address, what was asked for, and bytes of every statement page of the world."""
    for company in sites.world.listed:
        known = {"isin": company.isin, "bse_code": company.bse_code}
        for basis, prefix in BASES.items():
            for statement, part in ADDRESSES.items():
                for page in ("", "/2"):
                    path = f"/financials/{company.slug}/{prefix}{part}/{company.code}{page}"
                    reply = answer(sites, Ask(SITES["MONEYCONTROL"], path, {}, {}))
                    if reply.status == 200 and b"mctable1" in reply.body:
                        about = {**known, "statement": statement, "basis": basis}
                        yield f"{sites.base(SITES['MONEYCONTROL'])}{path}", about, reply.body


def fill(folder: Path, sites: Sites, count: int) -> int:
    """A store with the list of companies and `count` pages; bytes of the pages."""
    store, now = Store(folder / "raw"), datetime.now(UTC)
    listing = store.open("nse_listings", now)
    path = "/content/equities/EQUITY_L.csv"
    reply = answer(sites, Ask(SITES["NSE_ARCHIVES"], path, {}, {}))
    address = f"{sites.base(SITES['NSE_ARCHIVES'])}{path}"
    listing.save(document("nse_listings", address, {"file": "EQUITY_L"}, reply.body))
    scrips = store.open("bse_scrips", now)
    for status in ("Active", "Suspended", "Delisted"):
        query = {"Group": "", "Scripcode": "", "industry": "", "segment": "Equity"}
        ask = Ask(
            SITES["BSE_API"], "/BseIndiaAPI/api/ListofScripData/w", {**query, "status": status},
            {"Referer": "https://www.bseindia.com/", "Origin": "https://www.bseindia.com"},
        )  # fmt: skip
        url = f"{sites.base(SITES['BSE_API'])}/list?status={status}"
        about = {"status": status}
        scrips.save(document("bse_scrips", url, about, answer(sites, ask).body))
    crawl, size = store.open("moneycontrol_pages", now), 0
    for url, about, body in islice(pages(sites), count):
        crawl.save(document("moneycontrol_pages", url, about, body))
        size += len(body)
    for each in (listing, scrips, crawl):
        each.finish(ok=True)
    return size


def document(source: str, url: str, about: dict[str, str], body: bytes) -> Snapshot:
    sha256 = hashlib.sha256(body).hexdigest()
    return Snapshot(source, url, datetime.now(UTC), 200, {}, sha256, about, body)


def replay(folder: Path) -> tuple[float, dict[str, object]]:
    """Seconds of a replay as a process of its own, and its summary."""
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "scraping", "--replay"],
        env={**os.environ, "BANKRUPTCY_DATA": str(folder), "PYTHONPATH": str(REPO)},
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    seconds = time.perf_counter() - began
    newest = sorted((folder / "runs").glob("*.json"))[-1]
    return seconds, json.loads(newest.read_text(encoding="utf-8"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pages", type=int, default=10_000)
    parser.add_argument("--kilobytes", type=int, default=150)
    chosen = parser.parse_args()
    companies = max(chosen.pages // 13 + 20, 30)
    sites = Sites(World(companies, 0, 0), ROOT, chosen.kilobytes)
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores; replica pages")
    print(f"{'pages':>8} {'MB':>8} {'cells':>10} {'seconds':>8} {'pages/s':>8} {'peak MB':>8}")
    for count in (chosen.pages // 5, chosen.pages):
        with tempfile.TemporaryDirectory() as folder:
            size = fill(Path(folder), sites, count)
            seconds, summary = replay(Path(folder))
            sources = {o["source"]: o for o in summary["sources"]}  # type: ignore[attr-defined]
            done = sources["moneycontrol_pages"]
            if done["failed_documents"] or done["quarantined"]:
                raise SystemExit(f"not all pages were read: {done}")
            peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
            print(
                f"{count:>8,} {size / 1e6:>8,.0f} {done['rows']:>10,} {seconds:>8.1f}"
                f" {count / seconds:>8,.0f} {peak:>8,.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
