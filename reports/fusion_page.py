"""The page on how one value per cell comes about: order of the sources, basis, restatements."""

from __future__ import annotations

from reports.grid import escape
from reports.pieces import code, codes, table
from warehouse.formats import BASES, NO_BASIS
from warehouse.fusion import CORRECTION_COLUMNS, FACTORS, PLACES
from warehouse.items import DERIVED, ITEMS


def body() -> str:
    """The page, without its title."""
    return f"""What several files, sources and filings tell of one company is never mixed within a
statement and never averaged. Every reported cell is kept with its file and row; views choose among
them, so that another choice needs no new load.

{_order()}

{_periods()}

{_errors()}"""


def _order() -> str:
    places = (
        ("0", "a table of a user", "who types or edits figures means them to be taken"),
        *((str(n), code(p.source), escape(p.why)) for n, p in enumerate(PLACES, 1)),
    )
    statements = len({item.statement for item in ITEMS})
    return f"""## Which source goes first

{table("place#|source|why", places)}

- Each of the {statements} statements of a year (and the {len(DERIVED)} derived items, where a
  document states them) is taken from **one** source of documents, because sources part costs
  differently and a mixture adds up to nothing: the first in this order that has at least half as
  many lines as the fullest.
- What was reported goes before what is marked `derived`, and that before an estimate (`proxy`),
  whatever the source.
- Single cells of a user's table go before a document's.
- Of figures of one source the more recent filing goes first, then the later load.
- Interim figures (note `interim`) are kept and are no year."""


def _periods() -> str:
    return f"""## Which basis

A company's years are all of one basis, so that they can be compared: the one with most years that
are at least half as full as the company's fullest year; where that leaves a tie, the first of
{codes(BASES)}. A file that states none is {code(NO_BASIS)}.

## Which year

A fiscal year is named by the calendar year in which it ends. Of two year ends in one calendar year
the later is used, unless its period is under nine months or it has less than half the lines of the
other. A value of the period before (`prev_`) is that of the period that ends where this one begins,
within 20 days; across a gap or an overlap it is missing.

## What was known when

- A figure is available from its day of filing. Where a source gives none: from the day on which it
  was seen to have changed, or, for the first figure, from 60 days after the year end. A year that
  uses figures of the period before is available when both are.
- `--as-of DATE` hides what was not known on that day: figures, events, lists of an index, and
  calendar years of the macro series that were not over. Without it, all that is loaded counts.
- `--vintage latest` (the default) takes the most recent figure that was known; `--vintage first`
  the one that was filed first, which is what a reader had at the time.
- Corrections count whatever the day: they say what the source should have said."""


def _errors() -> str:
    factors = ", ".join(f"{factor:,.0f}" for factor in FACTORS)
    return f"""## Corrections

A known error of a source is one row of `warehouse/corrections.csv`, or of a file of the same
columns that is imported: {codes(CORRECTION_COLUMNS)}. The right value stands in for the wrong one
where and as long as the source gives the wrong one; without a right one the value is left out.
`item` may be a type of event, and its values dates.

## Disagreements

Where two sources tell one cell, the table `disagreements` of an export has every pair that differs
by more than rounding: by more than INR 1 crore where one of them is in whole crores, else by more
than one lakh. `factor` says whether a mistake of unit would explain it: one value is
{factors} times the other, within half a per cent."""
