"""Time of reading XBRL filings: lxml alone, ours, and two other packages, side by side.

    python benchmarks/xbrl.py [FILE...]

Without a file a made-up one of some 900 facts is read, and a real one where there is one. The
packages jugaad-xbrl and nse-xbrl are timed where they are installed; nothing here needs them.
Every round runs each reader once, so that all meet the same machine; the figures are medians.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from lxml import etree

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from warehouse.xbrl import parse_xbrl
from warehouse.xbrl_lines import FORMS

REPO = Path(__file__).resolve().parents[1]
Reader = Callable[[bytes], object]
REAL = "../shared/fixtures/xbrl/INDAS_ASIANPAINT_H1FY24_consolidated.xml"
PLAIN = "lxml: parse, visit tag, attrib and text"


def visit(data: bytes) -> int:
    """The least that a reader with lxml does: the attributes are reached, not read."""
    count = 0
    for element in etree.fromstring(data).iter():
        element.tag, element.attrib, element.text  # noqa: B018
        count += 1
    return count


def read_all(data: bytes) -> list[object]:
    """As `visit`, with the attributes' values."""
    return [(e.tag, dict(e.attrib), e.text) for e in etree.fromstring(data).iter()]


def ours(data: bytes) -> object:
    return parse_xbrl(data, "file")


def nse_xbrl() -> Reader:
    from nse_xbrl import build_result_fields, parse_xbrl  # type: ignore[import-not-found]

    return lambda data: build_result_fields(parse_xbrl(data.decode()))


def jugaad_xbrl() -> Reader:
    from jugaad_xbrl import parse  # type: ignore[import-not-found]

    return lambda data: parse(data).canonical()


def jugaad_xbrl_facts() -> Reader:
    from jugaad_xbrl.reader import parse_instance  # type: ignore[import-not-found]

    return parse_instance  # type: ignore[no-any-return]


# (what is timed, package, how to come by it)
OTHERS: tuple[tuple[str, str, Callable[[], Reader]], ...] = (
    ("nse-xbrl: parse_xbrl, build_result_fields", "nse-xbrl", nse_xbrl),
    ("jugaad-xbrl: parse, canonical", "jugaad-xbrl", jugaad_xbrl),
    ("jugaad-xbrl: parse_instance (facts only)", "jugaad-xbrl", jugaad_xbrl_facts),
)


def context(key: str, days: tuple[str, ...], member: str = "") -> str:
    tags = ("instant",) if len(days) == 1 else ("startDate", "endDate")
    dates = "".join(f"<xbrli:{t}>{d}</xbrli:{t}>" for t, d in zip(tags, days, strict=True))
    split = (
        '<xbrli:scenario><xbrldi:explicitMember dimension="in-capmkt:DetailsOfOtherExpensesAxis">'
        f"in-capmkt:{member}</xbrldi:explicitMember></xbrli:scenario>"
    )
    return (
        f'<xbrli:context id="{key}"><xbrli:entity><xbrli:identifier scheme='
        '"http://www.nseindia.com/NSESymbol">MADEUP</xbrli:identifier></xbrli:entity>'
        f"<xbrli:period>{dates}</xbrli:period>{split if member else ''}</xbrli:context>"
    )


def fact(name: str, key: str, value: object) -> str:
    unit = ' unitRef="INR" decimals="-7"' if isinstance(value, int) else ""
    return f'<in-capmkt:{name} contextRef="{key}"{unit}>{value}</in-capmkt:{name}>'


def made_up(splits: int = 130, others: int = 170) -> bytes:
    """An Ind-AS filing of a made-up company: some 900 facts, most of them in dimensions."""
    quarter, year, day = ("2026-01-01", "2026-03-31"), ("2025-04-01", "2026-03-31"), "2026-03-31"
    form = next(form for form in FORMS if form.name == "Ind-AS")
    names = sorted({t.element for line in form.lines for terms in line.sums for t in terms})
    lines = [context("OneD", quarter), context("FourD", quarter), context("OneI", (day,))]
    lines += [context(f"Split{i}D", quarter, f"Split{i}Member") for i in range(splits)]
    lines.append('<xbrli:unit id="INR"><xbrli:measure>iso4217:INR</xbrli:measure></xbrli:unit>')
    for key, (start, end) in (("OneD", quarter), ("FourD", year)):
        lines.append(fact("NameOfTheCompany", key, "Made-up Benchmark Limited"))
        lines.append(fact("DateOfStartOfReportingPeriod", key, start))
        lines.append(fact("DateOfEndOfReportingPeriod", key, end))
    lines.append(fact("DateOfStartOfFinancialYear", "OneD", year[0]))
    lines.append(fact("DateOfEndOfFinancialYear", "OneD", year[1]))
    for i, name in enumerate(names):
        lines += [fact(name, key, (i + 1) * 10**7) for key in ("FourD", "OneI")[i % 2 :][:1]]
    lines += [fact(f"AdjustmentsForItem{i}", "FourD", i * 10**6) for i in range(others)]
    for i in range(splits):
        lines.append(fact("DescriptionOfOtherExpenses", f"Split{i}D", f"Expense {i}"))
        lines += [fact(f"Amount{n}OfSplit", f"Split{i}D", i * 10**6 + n) for n in range(3)]
        lines.append(fact("OtherExpenses", f"Split{i}D", i * 10**6))
    head = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<xbrli:xbrl'
        ' xmlns:xbrli="http://www.xbrl.org/2003/instance"'
        ' xmlns:xbrldi="http://xbrl.org/2006/xbrldi"'
        ' xmlns:iso4217="http://www.xbrl.org/2003/iso4217"'
        ' xmlns:in-capmkt="http://www.sebi.gov.in/xbrl/2025-01-31/in-capmkt"'
        ' xmlns:in-capmkt-ent="http://www.sebi.gov.in/xbrl/IntegratedFinance_IndAS/2025-01-31'
        '/in-capmkt/in-capmkt-ent">'
    )
    return "\n".join([head, *lines, "</xbrli:xbrl>"]).encode()


def readers(data: bytes) -> dict[str, Reader]:
    """Whatever is installed and takes the file; says what is left out and why."""
    found: dict[str, Reader] = {
        PLAIN: visit,
        "lxml: the same, attributes as dicts": read_all,
        "warehouse.xbrl: parse_xbrl": ours,
    }
    for label, package, get in OTHERS:
        try:
            version(package)
        except PackageNotFoundError:
            print(f"  left out, not installed: {label}")
            continue
        reader = get()
        try:
            reader(data)
        except Exception as error:  # whatever another package raises for a file that it cannot read
            print(f"  left out, {type(error).__name__}: {error}: {label}")
            continue
        found[label] = reader
    return found


def measure(data: bytes, found: dict[str, Reader], rounds: int) -> dict[str, list[float]]:
    """Seconds of every round, after one that does not count.

    The collector of garbage runs between the readers, so that none pays for another's.
    """
    taken: dict[str, list[float]] = {label: [] for label in found}
    gc.disable()
    for number in range(rounds + 1):
        for label, reader in found.items():
            start = time.perf_counter()
            reader(data)
            if number:
                taken[label].append(time.perf_counter() - start)
            gc.collect(0)
    gc.enable()
    return taken


def compare(name: str, data: bytes, rounds: int) -> None:
    """Print the table of one file."""
    facts = data.count(b"contextRef=")
    print(f"\n{name}: {len(data):,} bytes, {facts:,} facts, {rounds} rounds")
    medians = {
        label: statistics.median(times)
        for label, times in measure(data, readers(data), rounds).items()
    }
    print(f"  {'':<44}{'median ms':>10}{'of lxml':>9}")
    for label, seconds in medians.items():
        print(f"  {label:<44}{seconds * 1e3:>10.2f}{seconds / medians[PLAIN]:>9.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path, help="XBRL instances")
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args()
    print(f"Python {sys.version.split()[0]}, lxml {version('lxml')}")
    files = {str(path): path.read_bytes() for path in options.files}
    if not files:
        files["made-up filing"] = made_up()
        real = REPO / REAL
        if real.is_file():
            files[real.name] = real.read_bytes()
        else:
            print("no real filing beside the repository: only the made-up one is read")
    for name, data in files.items():
        compare(name, data, options.rounds)


if __name__ == "__main__":
    main()
