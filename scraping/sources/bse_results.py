"""BSE: annual results of companies, delisted ones too: profit and loss, standalone, INR million.

All that is known of these documents is reported by other programs' code. So nothing is taken that
does not agree with itself: income less expenses must be the profit, profit less tax the net profit.
Expenses are reported to stand as negative numbers; whether they do is told by the identity.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import NamedTuple

from scraping.fetch import Fetch
from scraping.parse import day, json_of, number, quoted, required
from scraping.records import Record, json_records
from scraping.source import Bad, Expect, Parsed, ParseError, Row, Snapshot, Source
from warehouse.formats import LARGEST_CRORE

FIRST_YEAR = 2008
SETTLED = 2  # years after which a result is not expected to change
GAP = 3  # years without a result, before one with a result, that end a company's history
TOLERANCE = 0.01
DAY = ("%d-%b-%y", "%d-%b-%Y")

# Lines as other programs know them, by what they are. Items keep their name of warehouse/items.py;
# what begins with an underscore serves the checks only.
LABELS: Mapping[str, tuple[str, ...]] = {
    "sales": (
        "Net Sales/Revenue From Operations",
        "Net Sales / Revenue From Operations",
        "Net Sales",
        "Net Sales/Income from Operations",
        "Net Sales / Income from Operations",
        "Revenue From Operations",
        "Interest Earned/Net Income from sales/services",
        "Interest Earned",
    ),
    "_other_operating_income": ("Other Operating Income", "Other Operating Revenues"),
    "_operating_income": ("Total Income From Operations", "Total Income from Operations (net)"),
    "other_income": ("Other Income",),
    "revenue": ("Total Income",),
    "total_expenses": ("Expenditure", "Total Expenditure", "Total Expenses"),
    "cost_of_materials": ("Cost of Materials Consumed", "Consumption of Raw Materials"),
    "purchases_of_stock": (
        "Purchases of stock-in-trade",
        "Purchase of Traded Goods",
        "Purchases",
    ),
    "changes_in_inventories": (
        "Changes in inventories of finished goods, work-in-progress and stock-in-trade",
        "(Increase) / Decrease in Stock in Trade & WIP",
    ),
    "employee_benefits": (
        "Employee benefit expense",
        "Employee Benefit Expenses",
        "Employee Cost",
        "Employees Cost",
        "Staff Cost",
    ),
    "depreciation": (
        "Depreciation and amortisation expense",
        "Depreciation and amortization expense",
        "Depreciation",
    ),
    "finance_costs": ("Finance Costs", "Finance Cost", "Interest", "Interest Expended"),
    "other_expenses": ("Other Expenses", "Other Expenditure"),
    "_operating_expenses": ("Operating Expenses",),
    "_provisions": (
        "Provisions and contingencies",
        "Provisions (other than tax) and contingencies",
    ),
    "_bank_profit": (
        "Operating Profit Before Provisions and Contingencies",
        "Operating Profit Before Provisions and Contingency",
    ),
    "_before_exceptional": (
        "Profit after Interest but before Exceptional Items",
        "Profit before Exceptional Items and Tax",
    ),
    "exceptional_items": ("Exceptional Item", "Exceptional Items"),
    "profit_before_tax": (
        "Profit (+)/ Loss (-) from Ordinary Activities before Tax",
        "Profit before tax",
    ),
    "tax": ("Tax", "Tax Expense", "Tax Expenses"),
    "_current_tax": ("Current tax", "Current Tax including FBT"),
    "_deferred_tax": ("Deferred tax",),
    "_ordinary_profit": (
        "Net Profit (+)/ Loss (-) from Ordinary Activities after Tax",
        "Net Profit (+)/ Loss (-) from Ordinary Activities after Ta",
    ),
    "discontinued_operations": ("Net profit (loss) from discontinuing operation after tax",),
    "net_profit": ("Net Profit",),
    "equity_share_capital": ("Equity Capital",),
}
HEAD = ("type", "date begin", "date end")
# Known and not kept: figures per share, shareholdings, bank ratios, subtotals, other comprehensive
# income, and what only consolidated results have.
NOT_KEPT = re.compile(
    r".*\beps\b.*|(basic|diluted) (for|earnings).*|face value.*|.*sharehold.*|.*shares?\b.*%.*"
    r"|(number|percentage|%|amount) of .*|.*\bratio\b.*|return on assets.*|reserves?\b.*"
    r"|debt[- ].*|.*comprehensive.*|.*reclassified.*|.*minority.*|.*mino inter.*|share of profit.*"
    r"|.*before (other income, )?interest.*|.*before depreciation.*|.*continuing operations?"
    r"|(profit \(loss\)|tax expense).* discontinuing.*|any other|extra ?ordinary items?"
    r"|net movement in regulatory.*|.*consolidated group"
)
_KEYS = {label.casefold(): key for key, labels in LABELS.items() for label in labels}
COSTS = (
    "cost_of_materials",
    "purchases_of_stock",
    "changes_in_inventories",
    "employee_benefits",
    "depreciation",
    "finance_costs",
    "other_expenses",
)

SOURCE = Source(
    name="bse_results",
    publisher="BSE Limited",
    host="BSE_API",
    url="https://www.bseindia.com/corporates/Comp_Resultsnew.aspx",
    terms="public interface of the site; no licence for reuse is known; reported: addresses of data"
    " centres are refused",
    cadence_days=90,
    stage=3,
    table="statement_line",
    columns={"fld_desc": "item", "Value": "value"},
    ignored=(),
    expect=Expect(min_rows=1, unique=("fiscal_year_end", "basis", "item")),
    standing="reported",
    wants="SELECT company_id, nse_symbol, isin, bse_code FROM universe WHERE bse_code IS NOT NULL"
    " ORDER BY company_id",
)


def crawl(fetch: Fetch) -> None:
    """The years ending in March of each company, from the last completed one back to 2008.

    A company's history is taken to begin where three years in a row before a result have none.
    """
    last = last_completed(datetime.now(UTC).date())
    first = max(FIRST_YEAR, fetch.since.year) if fetch.since else FIRST_YEAR
    for company in fetch.each(fetch.wanted, "companies"):
        with fetch.tolerate(str(company["bse_code"])):
            _history(fetch, company, range(last, first - 1, -1), last - SETTLED)


def _history(fetch: Fetch, company: Mapping[str, object], years: range, settled: int) -> None:
    """Results of one company, newest first; those up to the year `settled` once for ever."""
    begun, without = False, 0
    for year in years:
        snapshot = fetch.get(
            "/BseIndiaAPI/api/Corp_detailedResult_Transpose_ng/w",
            {"scrip_cd": str(company["bse_code"]), "qtr": f"{quarter_id(year, 3)}.50"},
            kind="json",
            about={
                "bse_code": str(company["bse_code"]),
                "isin": str(company["isin"] or ""),
                "symbol": str(company["nse_symbol"] or ""),
                "fiscal_year": str(year),
            },
            once=year <= settled,
        )
        result = _lines(snapshot).is_result
        begun, without = begun or result, 0 if result else without + 1
        if begun and without == GAP:
            return


def quarter_id(year: int, month: int) -> int:
    """The site's number of the quarter that ends with a month; with `.50`, of the year."""
    return 85 + 4 * (year - 2015) + month // 3 - 1


def last_completed(today: date) -> int:
    """Last fiscal year (to March) that was over before a day."""
    return today.year if today.month >= 4 else today.year - 1


@dataclass
class _Lines:
    """What a document says: its head as texts, the known lines in INR million."""

    head: dict[str, str | None] = field(default_factory=dict)
    amounts: dict[str, float] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    bad: list[Bad] = field(default_factory=list)

    @property
    def is_result(self) -> bool:
        """Whether there are figures; of years without a result there is the head, or zeros."""
        return bool(any(self.amounts.values()) or self.bad or self.unknown)


def _lines(snapshot: Snapshot) -> _Lines:
    """The lines of a document; what two lines say differently is said by none.

    Raises:
        ParseError: it is no document of this kind.
    """
    answer = json_of(snapshot)
    if not isinstance(answer, dict) or "table1" not in answer:
        raise ParseError(f"{snapshot.url}: expected an object with table1, got {quoted(answer)}")
    lines, contradicted = _Lines(), set[str]()
    for at, record in json_records(snapshot, answer["table1"] or [], SOURCE):
        try:
            contradicted |= _read_line(lines, record)
        except ValueError as error:
            lines.bad.append(Bad(at, str(error), quoted(dict(record))))
    for key in sorted(contradicted):
        amount = lines.amounts.pop(key)
        lines.bad.append(
            Bad(0, "two lines contradict each other", f"{lines.labels[key]}: {amount}")
        )
    return lines


def _read_line(lines: _Lines, record: Record) -> set[str]:
    """Take in one line; gives the key of what it contradicts. A zero fills what is not there."""
    label = required(record["fld_desc"], "a line's name")
    known = label.casefold()
    if len(label) > 200:
        raise ValueError(f"expected a line's name, got {quoted(label)}")
    if known in HEAD:
        lines.head.setdefault(known, record["Value"])
        return set()
    key = _KEYS.get(known)
    if key is None:
        if not NOT_KEPT.fullmatch(known):
            lines.unknown.append(label)
        return set()
    value = number(record["Value"])
    if value is None:
        return set()
    if abs(value) > LARGEST_CRORE * 10:
        raise ValueError(f"{label}: expected INR million, got {quoted(record['Value'])}")
    if not lines.amounts.get(key):
        lines.amounts[key], lines.labels[key] = value, label
    return {key} if value and lines.amounts[key] != value else set()


def parse(snapshot: Snapshot) -> Parsed:
    """One row per figure, in INR crore; none of a year for which the site has no result.

    A result without revenue and net profit, or in which income less expenses is not the profit, is
    quarantined as a whole.

    Raises:
        ParseError: no document of this kind, one of another year, or without any line that is
            known.
    """
    lines = _lines(snapshot)
    if not lines.is_result:
        return Parsed([], [], ("no result of a year that was asked for",))
    if not lines.amounts:
        raise ParseError(f"{snapshot.url}: expected lines of a result, got {quoted(lines.unknown)}")
    begin, end = _period(snapshot, lines.head)
    figures = _Figures(lines.amounts)
    try:
        figures.read()
    except ValueError as error:
        unsound = Bad(0, f"the whole result: {error}", f"{end}: {quoted(lines.amounts)}")
        return Parsed([], [*lines.bad, unsound])
    about = snapshot.about
    rows: list[Row] = [
        {
            "isin": about.get("isin") or None,
            "nse_symbol": about.get("symbol") or None,
            "bse_code": about.get("bse_code") or None,
            "fiscal_year_end": end,
            "basis": "standalone",
            "item": item,
            "value": value / 10 + 0.0,  # no negative zero
            "unit": "INR million",
            "months": _months(begin, end),
            "source": "bse results",
            "note": "derived" if item in figures.derived else "reported",
            "filed_at": None,
        }
        for item, value in sorted(figures.items.items())
    ]
    unknown = tuple(f"unknown line {label!r}" for label in list(dict.fromkeys(lines.unknown))[:20])
    return Parsed(rows, lines.bad, (*figures.notices, *unknown))


def _period(snapshot: Snapshot, head: Mapping[str, str | None]) -> tuple[date, date]:
    """First and last day of the result.

    Raises:
        ParseError: the document does not say, it is not what was asked for, or not of months.
    """
    try:
        begin, end = (day(head.get(name), *DAY) for name in HEAD[1:])
    except ValueError as error:
        raise ParseError(f"{snapshot.url}: Date Begin and Date End: {error}") from None
    asked = snapshot.about.get("fiscal_year")
    if asked and (end.year, end.month) != (int(asked), 3):
        raise ParseError(f"{snapshot.url}: expected the year to March {asked}, got one to {end}")
    if begin.day != 1 or not 1 <= _months(begin, end) <= 24:
        raise ParseError(f"{snapshot.url}: expected a fiscal year, got {begin} to {end}")
    return begin, end


def _months(begin: date, end: date) -> int:
    return (end.year - begin.year) * 12 + end.month - begin.month + 1


def _apart(left: float, right: float, scale: float, tolerance: float = TOLERANCE) -> bool:
    """Whether two amounts differ by more than 1 % of a third, and by more than INR 0.1 million."""
    return abs(left - right) > max(tolerance * abs(scale), 0.1)


class _Target(NamedTuple):
    """A profit that income less expenses may be, and the exceptional items that it implies.

    It is not final where a bank's provisions come after it.
    """

    profit: float
    exceptional: float = 0.0
    is_final: bool = True


class _Figures:
    """Items of a result, in INR million, each from lines that agree with each other.

    The site fills lines that it has not with zeros: a zero is believed where it fits the others.

    Attributes:
        items: what was found.
        derived: those of them that are sums of lines.
        notices: what was left out, and why.
    """

    def __init__(self, amounts: Mapping[str, float]) -> None:
        self.lines = amounts
        self.items: dict[str, float] = {}
        self.derived: set[str] = set()
        self.notices: list[str] = []

    def read(self) -> None:
        """Fill the items.

        Raises:
            ValueError: a mandatory line is missing, or an identity fails.
        """
        self._income()
        self._profit()
        self._expenses()
        self._tax()
        for name in ("discontinued_operations", "equity_share_capital"):
            if (value := self._filled(name)) is not None:
                self.items[name] = value

    def _filled(self, name: str) -> float | None:
        """A line that is there and not zero."""
        return self.lines.get(name) or None

    def _income(self) -> None:
        """Sales, other income and their sum."""
        printed, other = self.lines.get("sales"), self.lines.get("other_income")
        sales = self._filled("_operating_income")
        if sales is None and printed is None:
            raise ValueError("expected a line of revenue")
        further = self._filled("_other_operating_income")
        if sales is None and further:
            self.derived.add("sales")
        self.items["sales"] = sales if sales is not None else (printed or 0.0) + (further or 0.0)
        if printed and printed != self.items["sales"]:
            self.items["net_sales"] = printed
        total, whole = self.items["sales"] + (other or 0.0), self._filled("revenue")
        if whole is not None and other is not None and _apart(total, whole, whole):
            raise ValueError(f"expected a total income of {total:g}, as sales and other income")
        if other is not None:
            self.items["other_income"] = other
        if whole is not None:
            self.items["revenue"] = whole

    def _total_income(self) -> float:
        return self.items.get("revenue", self.items["sales"] + self.items.get("other_income", 0.0))

    def _profit(self) -> None:
        """Net profit, and profit before tax."""
        net = self._filled("net_profit") or self._filled("_ordinary_profit")
        if net is None and "net_profit" not in self.lines:
            raise ValueError("expected a line Net Profit")
        self.items["net_profit"] = net or 0.0
        before = self.lines.get("profit_before_tax")
        if before or (before == 0 and (not net or self._filled("tax") is not None)):
            self.items["profit_before_tax"] = before

    def _expenses(self) -> None:
        """Expenses, after income less expenses was found to be the profit."""
        printed, targets = self._printed_expenses(), self._targets()
        if printed is None or not targets:
            self.notices.append("expenses left out: no lines to check them by")
            return
        sign = 1.0 if printed > 0 else -1.0
        costs = {name: sign * self.lines[name] for name in COSTS if name in self.lines}
        if self._filled("_bank_profit") or self._filled("_operating_expenses"):
            costs.pop("other_expenses", None)  # of a bank: elsewhere they include provisions
        income = self._total_income()
        scale = max(abs(income), abs(printed))
        fitting = [
            (abs(income - total - target.profit), total, target)
            for total, tolerance in _totals(abs(printed), costs)
            for target in targets
            if not _apart(income - total, target.profit, scale, tolerance)
        ]
        if not fitting:
            raise ValueError(f"expected {income:g} less {abs(printed):g} to be the profit")
        _, total, target = min(fitting, key=lambda candidate: candidate[0])
        if target.exceptional:
            self.items["exceptional_items"] = target.exceptional
        if target.is_final:
            self.items["total_expenses"] = total
            if total != abs(self.lines.get("total_expenses", 0.0)):
                self.derived.add("total_expenses")
        self._cost_lines(costs, total)

    def _printed_expenses(self) -> float | None:
        """The sum of the expenses with its sign; of some banks it is not printed."""
        parts = ("finance_costs", "_operating_expenses", "_provisions")
        printed = self.lines.get("total_expenses")
        if printed or not set(parts) <= set(self.lines):
            nothing = printed == 0 and any(self.lines.get(name) for name in COSTS)
            return None if nothing else printed
        return sum(self.lines[name] for name in parts)

    def _targets(self) -> list[_Target]:
        """The profits that income less expenses may be."""
        early = self._filled("_bank_profit") if "total_expenses" in self.lines else None
        targets = [] if early is None else [_Target(early, is_final=False)]
        printed = self.lines.get("exceptional_items", 0.0)
        before, after = self._filled("_before_exceptional"), self.items.get("profit_before_tax")
        signs = (printed, -printed) if printed else (0.0,)
        if before is None:
            return targets + [_Target(after - x, x) for x in signs if after is not None]
        if after is None:
            return [*targets, _Target(before)]
        fitting = [x for x in signs if not _apart(before + x, after, max(abs(before), abs(after)))]
        if printed and not fitting:
            self.notices.append("exceptional items left out: they do not lead to the profit")
        best = min(fitting, key=lambda x: abs(before + x - after), default=0.0)
        return [*targets, _Target(before, best)]

    def _cost_lines(self, costs: Mapping[str, float], total: float) -> None:
        """Single expenses: all of them where they sum to the total, else those that are sure."""
        whole = not _apart(sum(costs.values()), total, total)
        for name, value in costs.items():
            # Negative ones, and stock that was built up, are believed where all lines sum up.
            stock = name == "changes_in_inventories"
            either = stock or name == "other_expenses"
            if (value >= 0 or either) if whole else (value > 0 and not stock):
                self.items[name] = value
        left_out = [name for name, value in costs.items() if value and name not in self.items]
        if left_out:
            self.notices.append(f"left out, not sure: {', '.join(left_out)}")

    def _tax(self) -> None:
        """Tax, where profit before tax less tax is the profit after it."""
        before = self.items.get("profit_before_tax")
        after = self._filled("_ordinary_profit") or self.items["net_profit"]
        parts = [self.lines[n] for n in ("_current_tax", "_deferred_tax") if n in self.lines]
        printed = self._filled("tax") or (sum(parts) if parts else self.lines.get("tax"))
        if before is None or printed is None:
            return
        tax = min((printed, -printed), key=lambda signed: abs(before - signed - after))
        if _apart(before - tax, after, max(abs(before), abs(after))):
            self.notices.append("tax left out: it does not lead to the net profit")
            return
        self.items["tax"] = tax
        if abs(tax) != abs(self.lines.get("tax", -1.0)):
            self.derived.add("tax")


def _totals(printed: float, costs: Mapping[str, float]) -> list[tuple[float, float]]:
    """What all expenses may be, and how far off that may be.

    Results of long ago print interest, and older ones depreciation, after the sum of expenses. So
    that this does not mend what is wrong by chance, it must fit ten times better.
    """
    interest, wear = abs(costs.get("finance_costs", 0.0)), abs(costs.get("depreciation", 0.0))
    narrow = TOLERANCE / 10
    after = [(printed + interest, narrow), (printed + interest + wear, narrow)]
    return [(printed, TOLERANCE), *after]
