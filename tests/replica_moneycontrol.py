"""The replica of moneycontrol: suggestions, pages of statements, and the JSON behind them."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, Final
from urllib.parse import quote

from replica_accounts import Year
from replica_base import Ask, Reply, Sites, as_json, paged, refused, whole_page
from replica_statements import TITLES, layout
from replica_world import Company, World

UNKNOWN: Final = 24  # number % 25 of the companies that moneycontrol does not have


def _known(world: World) -> list[Company]:
    return [c for c in world.listed if c.number % 25 != UNKNOWN]


def suggestions(sites: Sites, ask: Ask) -> Reply:
    """Names like the query: for every third company another one comes first."""
    wanted = ask.query.get("query", "").strip().lower()
    known = _known(sites.world)
    hits = [c for c in known if wanted and wanted in _suggested(c).lower()]
    if hits and hits[0].number % 3 == 1:
        hits.insert(0, known[hits[0].number - 1])
    base = sites.base("moneycontrol")
    rows = [_suggestion(base, c) for c in hits[:10]]
    return as_json(rows or [{"pdt_dis_nm": "No Result Available", "link_src": "", "sc_id": ""}])


def _suggested(company: Company) -> str:
    return f"{company.short} {company.isin}, {company.symbol}, {company.bse_code}"


def _suggestion(base: str, company: Company) -> dict[str, str]:
    codes = f"{company.isin}, {company.symbol}, {company.bse_code}"
    path = f"india/stockpricequote/{quote(company.sector.lower())}/{company.slug}/{company.code}"
    return {
        "link_src": f"{base}/{path}",
        "link_track": f"{base}/track?id={company.code}&type=stock",
        "pdt_dis_nm": f"{html.escape(company.short)}&nbsp;<span>{codes}</span>",
        "name": company.short,
        "sc_id": company.code,
        "stock_name": company.short,
        "sc_sector_id": company.sector[:2].upper(),
        "sc_sector": company.sector,
        "forum_topics_url": f"{base}/forum/{company.slug}.html",
    }


def _of_code(world: World, code: str) -> Company | None:
    return next((c for c in _known(world) if c.code == code), None)


def statement_page(
    sites: Sites, ask: Ask, slug: str, group: str | None, statement: str, code: str, page: str
) -> Reply:
    company = _of_code(sites.world, code)
    if company is None or company.slug != slug:
        return refused(404, "Page Not Found")
    basis = "consolidated" if group else "standalone"
    years = sites.world.years(company, basis)[::-1]
    asked = replace(ask, query={"page": page or "1"})
    shown, number, _, onward = paged(asked, years, 5)
    path = ask.path.removesuffix(f"/{page}") if page else ask.path
    table = "<p>Data Not Available</p>"
    if shown:
        table = _table(company, statement, basis, shown)
    if onward:
        link = f"{sites.base('moneycontrol')}{path}/{number + 1}"
        table += f'<a href="{link}"><span class="nextpaging">Previous Years &raquo;</span></a>'
    body = f'<div id="standalone-new"><div class="table-responsive">{table}</div></div>'
    title = f"{company.short} {TITLES[statement]}"
    return Reply(whole_page(title, body, _furniture(sites.page_kilobytes)))


def _table(company: Company, statement: str, basis: str, years: Sequence[Year]) -> str:
    """The table: years as columns, newest first, and an empty cell at the end of each row."""

    def row(cells: Iterable[str], kind: str = "") -> str:
        inside = "".join(f"<td>{cell}</td>" for cell in cells)
        return f'<tr class="{kind}">{inside}<td></td></tr>\n'

    unit = "" if statement == "ratios" else " (in Rs. Cr.)"
    group = "Consolidated " if basis == "consolidated" else ""
    title = f"{group}{TITLES[statement]} of {html.escape(company.short)}{unit}"
    lines = [
        row([title, *(f"{y.end:%b %y}" for y in years)], "lightbg"),
        row(["", *(f"{y.months} mths" for y in years)], "lightbg"),
    ]
    for line in layout(company, statement, basis):
        label = html.escape(line.label, quote=False)
        if line.figure is None:
            lines.append(f'<tr class="darkbg"><td colspan="{len(years) + 2}">{label}</td></tr>\n')
        else:
            lines.append(row([label, *(_amount(line.figure(y.items)) for y in years)]))
    return f'<table class="mctable1">\n<tbody>\n{"".join(lines)}</tbody>\n</table>\n'


def _amount(value: float | None) -> str:
    return "--" if value is None else f"{round(value, 2) + 0.0:,.2f}"


@cache
def _furniture(kilobytes: int) -> str:
    """Menus and scripts, as many as fill the page."""
    item = (
        '<li><a href="/markets/section-{n}/" title="Section {n}"><span>Section {n}</span></a></li>'
    )
    script = "<script>window.dataLayer=window.dataLayer||[];dataLayer.push({{slot:{n}}});</script>"
    pair = (item + script + "\n").format(n=100000)
    count = 1024 * kilobytes // len(pair)
    menu = "".join((item + script + "\n").format(n=100000 + n) for n in range(count))
    return f'<nav class="top_menu"><ul>{menu}</ul></nav>'


def earnings(sites: Sites, ask: Ask, statement: str) -> Reply:
    """The JSON behind the newer pages; annual in spite of its name."""
    company = _of_code(sites.world, ask.query.get("sc_id", ""))
    if company is None:
        return as_json({"success": 0, "data": {}})
    lines = layout(company, statement, "consolidated")
    headers = {line.label: [line.key, "" if line.figure else "darkbg"] for line in lines}
    results = {
        name: [
            _earning(company, statement, basis, year)
            for year in reversed(sites.world.years(company, basis))
        ]
        for name, basis in (
            ("standardResult", "standalone"),
            ("consolidatedResult", "consolidated"),
        )
    }
    return as_json({"success": 1, "data": {"headers": headers, **results}})


def _earning(company: Company, statement: str, basis: str, year: Year) -> dict[str, Any]:
    figures = {
        line.key: _amount(line.figure(year.items)).replace(",", "")
        for line in layout(company, statement, basis)
        if line.figure
    }
    return {
        "yrc": year.end.year * 100 + year.end.month,
        "yrc0": f"{year.end:%b %y}",
        "str_month": f"{year.end:%b}",
        "str_year": f"{year.end:%Y}",
        "noofmonths": f"{year.months} mths",
        **figures,
    }
