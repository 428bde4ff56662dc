"""Financial results as NSE and BSE publish them in XBRL, into canonical items in INR crore.

Both eras of the taxonomy (bseindia.com to 2024, sebi.gov.in from 2025) and all forms are read:
Ind-AS, old GAAP, NBFC, bank, life and general insurance. An instance states its figures several
times: for the quarter (context OneD), for the year to date (FourD), at the end of the period
(OneI), and split by dimensions. Taken are the year to date and the period's end, without
dimensions. Amounts are absolute rupees, whatever the level of rounding or `decimals` say.

What FourD truly covers is a question of its own: `warehouse.xbrl_period` answers it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from warehouse.cells import Cell
from warehouse.errors import InputError, UnnamedError, printable
from warehouse.formats import NO_BASIS
from warehouse.isin import check_digit_holds
from warehouse.readers import require_file
from warehouse.screener import slug
from warehouse.xbrl_instance import (
    MAX_BYTES,
    RUPEES_PER_CRORE,
    Instance,
    amount_of,
    day_of,
    prolog_end,
    read_instance,
    texts_of,
)
from warehouse.xbrl_lines import (
    APPROVED,
    AUDITED,
    BASIS,
    BESIDE,
    BY_STATEMENT,
    COMPANY_NAMES,
    EITHER_IND_AS,
    FORMS,
    WANTED,
    Form,
    Line,
    Term,
)
from warehouse.xbrl_period import Period, period_of


@dataclass(frozen=True)
class Filing:
    """What one filing says of one company, period and basis.

    Attributes:
        company_name, symbol, isin, bse_code, cin: who it is, as far as the file says.
        form: Ind-AS, old GAAP, NBFC, bank, life insurance or general insurance.
        is_financial: whether the form is that of a bank, NBFC or insurer.
        basis: consolidated, standalone or unstated.
        period_start, period_end: what the flows cover: the year to date where it is given.
        fiscal_year_start, fiscal_year_end: as stated; None where they are not or cannot be.
        months: length of the period.
        annual: whether the figures are known to be those of the whole fiscal year.
        audited: whether the results of the period are audited; None where not stated.
        approved_on: day of the board meeting.
        cells: the figures in INR crore; every note is `interim` unless the period is annual.
        notices: lines that a user should read.
    """

    company_name: str | None
    symbol: str | None
    isin: str | None
    bse_code: str | None
    cin: str | None
    form: str
    is_financial: bool
    basis: str
    period_start: date | None
    period_end: date
    fiscal_year_start: date | None
    fiscal_year_end: date | None
    months: int
    annual: bool
    audited: bool | None
    approved_on: date | None
    cells: tuple[Cell, ...]
    notices: tuple[str, ...]


# --- form and identity ----------------------------------------------------------------------------

_FORM = {form.name: form for form in FORMS}


def _form(instance: Instance) -> Form:
    """The form by the elements that only one form has, else by the entry point.

    Raises:
        InputError: neither tells, and there is no revenue from operations.
    """
    elements = instance.elements
    told = next((form.name for form in FORMS if not elements.isdisjoint(form.own)), None)
    if told and instance.template and told != instance.template:
        instance.notices.append(
            f"the entry point says {instance.template}, the elements say {told}: read as {told}"
        )
    told = told or instance.template
    if told:
        return _FORM[told]
    if elements.isdisjoint(EITHER_IND_AS):
        if "RevenueFromOperations" not in elements:
            raise InputError(
                f"{instance.name}: expected financial results of NSE or BSE: no element tells one"
                f" of the forms {', '.join(form.name for form in FORMS)}"
            )
        instance.notices.append("nothing tells the form of the filing: read as Ind-AS")
    return _FORM["Ind-AS"]


_NAME = re.compile(r"(?=.*\w).{1,200}")
_SYMBOL = re.compile(r"(?!(?:NOTLISTED|NA|NIL)$)[A-Z0-9][A-Z0-9&._-]{0,19}")
_ISIN = re.compile(r"IN[A-Z0-9]{9}[0-9]")
_BSE_CODE = re.compile(r"(?!000000)[0-9]{6}")
_CIN = re.compile(r"[LU][0-9]{5}[A-Z]{2}[0-9]{4}[A-Z]{3}[0-9]{6}")


class _Identity(NamedTuple):
    """Who filed, as far as the file says."""

    company_name: str | None
    symbol: str | None
    isin: str | None
    bse_code: str | None
    cin: str | None


def _identity(instance: Instance, period: Period) -> _Identity:
    """The facts, else the entity of the contexts, whose scheme or shape tells what it is."""
    known = [instance.contexts[key] for key in (*period.flows, *period.instants)]
    entities = [c.identifier for c in known]
    symbols = [c.identifier for c in known if c.scheme.lower().endswith("nsesymbol")]
    isin = _first(instance, _ISIN, ("ISIN",), entities)
    if isin and not check_digit_holds(isin):
        instance.notices.append(f"ISIN {isin} has a wrong check digit: left out")
        isin = None
    return _Identity(
        company_name=_first(instance, _NAME, COMPANY_NAMES, ()),
        symbol=_first(instance, _SYMBOL, ("Symbol",), symbols),
        isin=isin,
        bse_code=_first(instance, _BSE_CODE, ("ScripCode",), entities),
        cin=_first(instance, _CIN, (), entities),
    )


def _first(
    instance: Instance, shape: re.Pattern[str], elements: Iterable[str], others: Iterable[str]
) -> str | None:
    """The first of what these elements, then the others, say that has the shape."""
    said = [text for name in elements for text in texts_of(instance, name, instance.contexts)]
    return next((text for text in (*said, *others) if shape.fullmatch(text)), None)


def _choice(
    instance: Instance, element: str, flows: tuple[str, ...], meanings: Mapping[str, str]
) -> str | None:
    """What a text element means, by the flows' contexts first: March files say both of a kind."""
    said = texts_of(instance, element, flows) or texts_of(instance, element, instance.contexts)
    meant = {meanings.get(re.sub(r"[^a-z]", "", text.lower())) for text in said}
    if len(meant) == 1 and None not in meant:
        return meant.pop()
    if said:
        instance.notices.append(f"{element} is not understood: {printable(', '.join(said))[:80]}")
    return None


def _approved_on(instance: Instance, end: date) -> date | None:
    """Day of the board meeting; one before the period's end would date figures too early."""
    said = [text for name in APPROVED for text in texts_of(instance, name, instance.contexts)]
    days = [day for day in map(day_of, said) if day and day > end]
    if said and not days:
        instance.notices.append(
            f"the board meeting is dated {printable(said[0])[:40]}, not after the period's end:"
            " left out"
        )
    return days[0] if days else None


# --- figures --------------------------------------------------------------------------------------


def _amounts(
    instance: Instance, period: Period, wanted: frozenset[str]
) -> tuple[dict[str, float], frozenset[str]]:
    """Rupees by element in the period's contexts, and the elements that are not to be used."""
    values: dict[str, float] = {}
    twice: dict[str, str] = {}
    units: dict[str, str] = {}
    for key in (*period.flows, *period.instants):
        for local, element in instance.amounts.get(key, ()):
            amount = amount_of(instance, local, element) if local in wanted else None
            if amount is None:
                continue
            unit = element.get("unitRef", "none")
            if not instance.units.get(unit):
                units[local] = f"{local} ({unit[:40]!r})"
            elif values.setdefault(local, amount) != amount:
                twice[local] = f"{local} ({values[local]:.15g} and {amount:.15g})"
    for what, found in (("not in rupees", units), ("given twice with different values", twice)):
        if found:
            instance.notices.append(f"left out, {what}: {printable(_listed(list(found.values())))}")
    dropped = frozenset(units) | frozenset(twice)
    for local in dropped:
        values.pop(local, None)
    return values, dropped


def _listed(found: list[str], most: int = 8) -> str:
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(found[:most]) + more


def _beside(instance: Instance, values: dict[str, float]) -> None:
    """Drop what the form shows beside a total's parts where the parts hold it already."""
    for total, parts, beside in BESIDE:
        extra = sum(values.get(element, 0.0) for element in beside)
        if extra and total in values and all(part in values for part in parts):
            rest = values[total] - sum(values[part] for part in parts)
            if abs(rest) < abs(rest - extra):
                for element in beside:
                    values.pop(element, None)
                instance.notices.append(f"{' and '.join(parts)} hold {_listed(list(beside))}")


def _evaluate(terms: tuple[Term, ...], values: Mapping[str, float]) -> tuple[float, bool] | None:
    """A sum in rupees and whether one element alone gives it; None if an element is missing."""
    total, counted, given, negated = 0.0, 0, False, False
    for element, sign, optional in terms:
        value = values.get(element)
        if value is not None:
            given = True
            total += sign * value
            counted += value != 0
            negated = negated or (sign < 0 and value != 0)
        elif not optional:
            return None
    return (total, counted <= 1 and not negated) if given else None


def _choose(
    instance: Instance, line: Line, values: Mapping[str, float]
) -> tuple[float, bool] | None:
    """The first sum that can be made, or the first that is not 0 where that one is."""
    zero: tuple[float, bool] | None = None
    for terms in line.sums:
        found = _evaluate(terms, values)
        if found and found[0]:
            if zero:
                instance.notices.append(
                    f"a total stands as 0; {line.item} is taken from"
                    f" {_listed([term.element for term in terms])}"
                )
            return found
        zero = zero or found
    return zero


def _cells(instance: Instance, form: Form, period: Period, basis: str) -> tuple[Cell, ...]:
    """Every item that the filing gives."""
    values, dropped = _amounts(instance, period, WANTED[form.name])
    _drop_zeros(instance, form, values)
    _beside(instance, values)
    end, months = period.span.end, period.span.months
    cells = []
    for line in form.lines:
        if line.single:
            value = values.get(line.single)
            found = None if value is None else (value, True)
        elif dropped and any(term.element in dropped for terms in line.sums for term in terms):
            continue
        else:
            found = _choose(instance, line, values)
        if found is None:
            continue
        if found[0] < 0 and line.item == "dividends":
            instance.notices.append("dividends paid are below 0: their sign is unclear, left out")
            continue
        note = line.note or ("reported" if found[1] else "derived")
        crore = found[0] / RUPEES_PER_CRORE
        cells.append(
            Cell(end, basis, line.item, crore, months, note if period.annual else "interim")
        )
    _say_unplaced(instance, form, values)
    return tuple(cells)


def _say_unplaced(instance: Instance, form: Form, values: Mapping[str, float]) -> None:
    for element in form.unplaced:
        if values.get(element):
            instance.notices.append(
                f"no item holds {element}, {values[element] / RUPEES_PER_CRORE:,.2f} crore: sums"
                " around it differ by that"
            )


def _drop_zeros(instance: Instance, form: Form, values: dict[str, float]) -> None:
    """Drop a statement that is nothing but zeros: it was not filled in."""
    for statement, elements in BY_STATEMENT[form.name].items():
        given = elements & values.keys()
        if len(given) > 1 and not any(values[element] for element in given):
            for element in given:
                del values[element]
            instance.notices.append(
                f"every figure of the {statement.replace('_', ' ')} is 0: taken as not given"
            )


# --- the whole ------------------------------------------------------------------------------------

_ROOT_TAG = re.compile(rb"<(?:[\w.-]+:)?xbrl[\s>/]")
_HEAD = 2**16


def is_xbrl(path: Path) -> bool:
    """Whether a file is an XML document whose root is `xbrl`, told by its first bytes."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    at = prolog_end(head)
    if head.startswith(b"<!", at):  # a DOCTYPE: `parse_xbrl` says why it is refused
        return _ROOT_TAG.search(head, at) is not None
    return _ROOT_TAG.match(head, at) is not None


def parse_xbrl(data: bytes, name: str) -> Filing:
    """What a filing says, from the bytes of its XBRL instance.

    Args:
        data: the file.
        name: its path or address, for messages.

    Raises:
        InputError: not such an instance, a period that cannot be known, or a figure that is no
            number.
    """
    instance = read_instance(data, name)
    form = _form(instance)
    period = period_of(instance)
    basis = _choice(
        instance,
        BASIS,
        period.flows,
        {name: name for name in ("consolidated", "standalone")} | {"nonconsolidated": "standalone"},
    )
    audited = _choice(
        instance, AUDITED, period.flows, {"audited": "audited", "unaudited": "unaudited"}
    )
    identity = _identity(instance, period)
    approved_on = _approved_on(instance, period.span.end)
    cells = _cells(instance, form, period, basis or NO_BASIS)
    return Filing(
        *identity,
        form=form.name,
        is_financial=form.financial,
        basis=basis or NO_BASIS,
        period_start=period.span.start,
        period_end=period.span.end,
        fiscal_year_start=period.year[0],
        fiscal_year_end=period.year[1],
        months=period.span.months,
        annual=period.annual,
        audited=None if audited is None else audited == "audited",
        approved_on=approved_on,
        cells=cells,
        notices=tuple(instance.notices),
    )


def read_xbrl(path: Path, company: str | None = None) -> tuple[pa.Table, tuple[str, ...]]:
    """Rows of a statements file out of an instance, and lines that a user should read.

    Args:
        path: the file.
        company: company_id; else made from the symbol, the name, the ISIN or the BSE code.

    Raises:
        InputError: as `parse_xbrl`; or the file holds no figure, or names no company
            (`UnnamedError`).
    """
    require_file(path, MAX_BYTES)
    filing = parse_xbrl(path.read_bytes(), str(path))
    label = filing.symbol or filing.company_name or filing.isin or filing.bse_code
    if company is None and label is None:
        raise UnnamedError(f"{path}: names no company; give its company_id with --company")
    if not filing.cells:
        raise InputError(f"{path}: holds no figure of the period to {filing.period_end}")
    company_id = company or slug(label or "")
    rows = [
        {
            "company_id": company_id,
            "company_name": filing.company_name,
            "nse_symbol": filing.symbol,
            "isin": filing.isin,
            "cin": filing.cin,
            "fiscal_year_end": str(cell.fiscal_year_end),
            "months": str(cell.months),
            "basis": cell.basis,
            "unit": "INR crore",
            "item": cell.item,
            "value": repr(cell.value),
            "note": cell.note,
            "source": "xbrl filing",
            "filed_at": str(filing.approved_on) if filing.approved_on else None,
        }
        for cell in filing.cells
    ]
    read = f"{filing.form}, {filing.basis}, {filing.months} months to {filing.period_end}"
    return pa.Table.from_pylist(rows, schema=_SCHEMA), (
        f"company {label or company} imported as {company_id}: {read}",
        *filing.notices,
    )


_SCHEMA = pa.schema(
    [
        (column, pa.string())
        for column in (
            "company_id", "company_name", "nse_symbol", "isin", "cin", "fiscal_year_end",
            "months", "basis", "unit", "item", "value", "note", "source", "filed_at",
        )
    ]
)  # fmt: skip
