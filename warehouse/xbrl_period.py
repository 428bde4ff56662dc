"""Which period the figures of an XBRL filing cover, and which of its contexts hold them.

The trap: FourD is *declared* with the quarter's dates. Its true period is, in this order:
1. what the facts DateOfStartOfReportingPeriod and DateOfEndOfReportingPeriod in FourD say, unless
   that is the quarter of OneD too while the figures of the two differ;
2. its declared dates, if they begin with the fiscal year, are longer than OneD's, span twelve
   months, or if its figures are those of OneD;
3. from the first day of the fiscal year, if the period ends on its last;
4. unknown: the file is refused.
Every other context is taken at the word of its facts, else of its declared dates. Of those that
end with the period the longest counts, whatever its id. A notice says where 1 does not hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from warehouse.errors import InputError, printable
from warehouse.formats import EARLIEST
from warehouse.xbrl_instance import (
    PERIOD_END,
    QUARTER,
    YEAR_TO_DATE,
    Context,
    Instance,
    Span,
    day_of,
    decimal_of,
    texts_of,
)
from warehouse.xbrl_lines import CAPITAL, END_DATE, START_DATE, YEAR_END_DATE, YEAR_START_DATE


@dataclass(frozen=True)
class Period:
    """The period of a filing, and which contexts hold its flows and its balance sheet."""

    span: Span
    year: tuple[date | None, date | None]
    annual: bool
    flows: tuple[str, ...]
    instants: tuple[str, ...]


def period_of(instance: Instance) -> Period:
    """The longest period that ends with the filing's.

    Raises:
        InputError: the file does not say which period it covers, or it is none of 1 to 24 months.
    """
    year = _fiscal_year(instance)
    periods = _periods(instance, year)
    pool = {key: span for key, span in periods.items() if instance.amounts.get(key)} or periods
    if not pool:
        raise InputError(f"{instance.name}: expected a reporting period, got none")
    leading = next((key for key in (YEAR_TO_DATE, QUARTER) if key in pool), None)
    end = pool[leading].end if leading else max(span.end for span in pool.values())
    span = min(span for span in pool.values() if span.end == end)
    if not 1 <= span.months <= 24:
        raise InputError(f"{instance.name}: expected a period of 1 to 24 months, got {span}")
    annual = _annual(span, year)
    if annual and pool.get(QUARTER, span) != span and _same_figures(instance):
        instance.notices.append(f"OneD and FourD hold the same figures: perhaps not of {span}")
        annual = False
    if not annual:
        instance.notices.append(
            f"interim: {span.months} months, {span}; not used as annual statements"
        )
    flows = tuple(key for key, other in pool.items() if other == span)
    if {YEAR_TO_DATE, QUARTER} <= set(flows) and _same_figures(instance) is False:
        instance.notices.append(f"OneD is dated as FourD, {span}, but differs: left out")
        flows = tuple(key for key in flows if key != QUARTER)
    return Period(span, year, annual, flows, _instants(instance, end))


def _date_in(instance: Instance, element: str, context: str) -> date | None:
    """The date that a fact of the period states in a context.

    Raises:
        InputError: it is no date, or there are two.
    """
    said = texts_of(instance, element, (context,))
    if not said:
        return None
    day = day_of(said[0])
    if day is None or len(said) > 1:
        raise InputError(
            f"{instance.name}: {element} in context {context}: expected one date YYYY-MM-DD"
            f" from {EARLIEST} to 2100, got {', '.join(said):.60}"
        )
    return day


def _stated(instance: Instance, key: str) -> Span | None:
    """The period of a context as its facts state it; the declared end serves if they lack it."""
    start = _date_in(instance, START_DATE, key)
    declared = instance.contexts[key].declared
    end = _date_in(instance, END_DATE, key) or (declared.end if declared else None)
    if start is None or end is None:
        return None
    if start > end:
        raise InputError(
            f"{instance.name}: the reporting period of context {key} begins on {start} and ends"
            f" on {end}"
        )
    return Span(start, end)


def _fiscal_year(instance: Instance) -> tuple[date | None, date | None]:
    """First and last day of the fiscal year as stated; None where two are, or none can be."""
    days = []
    for element in (YEAR_START_DATE, YEAR_END_DATE):
        said = texts_of(instance, element, instance.contexts)
        day = day_of(said[0]) if len(said) == 1 else None
        if said and day is None:
            instance.notices.append(f"{element} is not one date: {printable(', '.join(said))[:80]}")
        days.append(day)
    start, end = days
    if start and end and not (start < end and 9 <= Span(start, end).months <= 18):
        instance.notices.append(f"the fiscal year is said to be {start}..{end}: not believed")
        return None, None
    return start, end


def _periods(instance: Instance, year: tuple[date | None, date | None]) -> dict[str, Span]:
    """The true period of every context of flows; FourD last, for it is told by the others."""
    periods = {}
    for key, context in instance.contexts.items():
        if key != YEAR_TO_DATE and context.instant is None:
            span = _stated(instance, key) or context.declared
            if span:
                periods[key] = span
    if YEAR_TO_DATE in instance.contexts and instance.amounts.get(YEAR_TO_DATE):
        periods[YEAR_TO_DATE] = _year_to_date(instance, periods.get(QUARTER), year)
    return periods


def _year_to_date(
    instance: Instance, quarter: Span | None, year: tuple[date | None, date | None]
) -> Span:
    """The true period of FourD, by the rules at the head of this module."""
    stated = _stated(instance, YEAR_TO_DATE)
    declared = instance.contexts[YEAR_TO_DATE].declared
    begin, finish = year
    if stated and (
        stated != quarter
        or stated.start == begin
        or stated.months >= 12
        or _same_figures(instance) is not False
    ):
        if declared and stated != declared:
            instance.notices.append(f"FourD is declared {declared}; its facts say {stated}")
        return stated
    if declared and not stated and _trusted(instance, declared, quarter, begin):
        instance.notices.append(f"FourD has no dates of its own: taken as declared, {declared}")
        return declared
    end = stated.end if stated else declared.end if declared else None
    if begin and end and end == finish:
        instance.notices.append(
            f"FourD is dated as the quarter {quarter or declared}; it ends the fiscal year and is"
            f" taken to begin with it, on {begin}"
        )
        return Span(begin, end)
    raise InputError(
        f"{instance.name}: the period of context FourD cannot be known: it is declared"
        f" {declared}, its facts say {stated}, the quarter is {quarter}"
    )


def _trusted(instance: Instance, declared: Span, quarter: Span | None, begin: date | None) -> bool:
    """Whether the declared dates of FourD are those of the year to date."""
    if declared.start == begin or declared.months >= 12:
        return True
    if quarter is None:
        return False
    return declared.months > quarter.months or _same_figures(instance) is True


def _same_figures(instance: Instance) -> bool | None:
    """Whether FourD and OneD hold the same figures; None if they share none but zeros."""
    quarter = dict(instance.amounts.get(QUARTER, ()))
    shared = False
    for local, element in instance.amounts.get(YEAR_TO_DATE, ()):
        if local in quarter and not local.startswith(CAPITAL):
            one, other = (decimal_of((e.text or "").strip()) for e in (element, quarter[local]))
            if one != other:
                return False
            shared = shared or bool(one)
    return True if shared else None


def _instants(instance: Instance, end: date) -> tuple[str, ...]:
    """Contexts of the balance sheet: dated the last day of the period."""
    undated = instance.contexts.get(PERIOD_END) == Context()
    keys = [key for key, context in instance.contexts.items() if context.instant == end]
    for key, context in instance.contexts.items():
        if context.instant and context.instant != end and instance.amounts.get(key):
            instance.notices.append(
                f"the period ends on {end}; figures of {context.instant} are left out"
            )
    return (*keys, PERIOD_END) if undated else tuple(keys)


def _annual(span: Span, year: tuple[date | None, date | None]) -> bool:
    """Whether a period is the whole fiscal year.

    Without a stated fiscal year twelve months to date are one; a shorter one could not be told.
    """
    stated = [(said, ours) for said, ours in zip(year, span, strict=True) if said]
    return all(said == ours for said, ours in stated) and (len(stated) == 2 or span.months >= 12)
