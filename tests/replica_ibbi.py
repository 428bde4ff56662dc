"""The replica of IBBI: announcements, export, process pages, orders."""

from __future__ import annotations

import hashlib
import html
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlencode

from replica_base import Ask, Reply, Sites, paged, refused, whole_page
from replica_cases import Announcement, Order, Process

_IBBI_MENU: Final = "<nav><ul>" + "".join(
    f'<li class="dropdown"><a href="/section/{n}">SECTION {n}</a></li>' for n in range(60)
)
_BADGE: Final = '<span class="file-type-label" aria-label="PDF file" style="color: red;">PDF</span>'


def _pdf(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32] + ".pdf"


def _pager(base: str, kept: Mapping[str, str], page: int, pages: int, onward: bool) -> str:
    def link(number: int) -> str:
        return html.escape(f"{base}?{urlencode({**kept, 'page': str(number)})}")

    back = f'<li class="prev"><a rel="prev" href="{link(page - 1)}">&lt;</a></li>'
    if page <= 1:
        back = f'<li class="prev disabled"><a href="{link(page)}">&lt;</a></li>'
    parts = [back, f'<li class="active"><a href="{link(page)}">{page}</a></li>']
    if onward:
        parts.append(f'<li class="next"><a rel="next" href="{link(page + 1)}">&gt;</a></li>')
        parts.append(f'<li class="last"><a href="{link(pages)}">&gt;&gt;</a></li>')
    return f'<ul class="pagination my-2">\n{"".join(parts)}\n</ul>'


def announcements(sites: Sites, ask: Ask) -> Reply:
    kind = ask.query.get("ann", "")
    rows = [row for row in sites.cases.announcements if kind in ("", row.kind)]
    if "export_excel" in ask.query:
        return _export(rows)
    shown, page, pages, onward = paged(ask, rows, 20)
    if not shown and page > 1:
        return refused(404, "Not Found")
    base = sites.base("ibbi")
    kept = {name: ask.query[name] for name in ("ann", "title", "date") if ask.query.get(name)}
    table = _ANNOUNCED.format(rows="".join(_announced_row(base, row) for row in shown))
    pager = _pager(f"{base}/public-announcement", kept, page, pages, onward)
    total = f"<p>Total Records : {len(rows)}</p>"
    return Reply(whole_page("Public Announcement", f"<div>{table}{pager}{total}</div>", _IBBI_MENU))


_ANNOUNCED: Final = """<table class="cols-4">
<thead>
<tr>
<!-- <th>S. No.</th> -->
<th>Type of PA</th>
<th><a class="desc" href="#">Date of Announcement</a>\t</th>
<th>Last date of Submission</th>
<th>Name of Corporate Debtor</th>
<th>Name of Applicant</th>
<th>Name of Insolvency Professional</th>

<th>Public Announcement</th>
<th>Remarks</th>
</tr>
</thead>
<tbody>
{rows}</tbody>
</table>"""


def _announced_row(base: str, row: Announcement) -> str:
    def cell(text: str) -> str:
        return f"<td>\n\t\t\t\t\t{html.escape(text)}\t\t\t\t</td>\n"

    link = f"{base}//uploads/announcement/{_pdf(row.debtor + row.kind)}"
    return (
        f"<tr>\n{cell(row.kind)}{cell(row.announced.strftime('%d-%m-%Y'))}{cell(row.last_date)}"
        f"{cell(row.debtor)}{cell(row.applicant)}{cell(row.professional)}"
        f"<!----<td>\n{row.address}</td>---->\n"
        f'<td style="text-align:center">\n<a href="{link}" download="">{_BADGE}(1.36 MB)</a>\n'
        f"</td>\n{cell('')}</tr>\n"
    )


_EXPORTED: Final = (
    "Announcement Type", " Date of Announcement", " Last date of Submission",
    " Name of Corporate Debtor", " CIN No.", " Name of Applicant",
    " Name of Insolvency Professional", " Address of Insolvency Professional", " Remarks",
)  # fmt: skip


def _export(rows: Sequence[Announcement]) -> Reply:
    """The export: tab-separated and unquoted; a few rows have a field too many or too few."""
    lines = ["\t".join(_EXPORTED)]
    for at, row in enumerate(rows):
        fields = [
            row.kind, row.announced.strftime("%d-%m-%Y"), row.last_date, row.debtor, row.cin,
            row.applicant, row.professional, row.address, row.remarks,
        ]  # fmt: skip
        if at % 3 == 1:
            fields[3] = html.escape(fields[3])
        listed = row.cin.startswith("L")
        if at % 40 == 38 and not listed:
            fields[7] = fields[7].replace(", ", "\t", 1)
        elif at % 40 == 39 and not listed:
            fields = fields[:7]
        lines.append("\t".join(fields))
    named = ("Content-Disposition", 'attachment; filename="public_announcement.xls"')
    return Reply("\n".join([*lines, ""]).encode(), "application/vnd.ms-excel", headers=(named,))


def moved(sites: Sites, ask: Ask) -> Reply:
    query = f"?{urlencode(ask.query)}" if ask.query else ""
    target = f"{sites.base('ibbi')}/public-announcement{query}"
    return Reply(b"", status=301, headers=(("Location", target),))


def inner_process(sites: Sites, _: Ask, cin: str) -> Reply:
    process = sites.cases.processes.get(cin)
    told = _process(process) if process else "ASSIGNMENT NOT APPROVED YET"
    if not process:
        told = f'<div style="margin-top:35px;text-align:center;">{told}</div>'
    name = html.escape(process.debtor) if process else "NA"
    body = f"""<div class="brdesm"><h2>Corporate Processes</h2>
<ul><li><a href="/home">Home</a></li><li>Corporate Processes</li><li>{name}</li></ul>
<div class="cinDetl"><strong>CIN No: {cin}</strong></div></div>
<div class="vertical-tabs"><ul class="nav nav-tabs" role="tablist">
<li class="nav-item active">
<a class="nav-link" href="/claims/inner-process/{cin}">Details About CD</a></li>
<!--<li class="nav-item"><a href="/claims/iaaa-process/{cin}">Application</a></li>-->
<li class="nav-item"><a class="nav-link" href="/claims/order-process/{cin}">Orders</a></li></ul>
<div class="tab-content"><div class="tab-pane active" id="pag1" role="tabpanel">
<div class="sv-tab-panel">{told}</div></div></div></div>"""
    return Reply(whole_page("Insolvency and Bankruptcy Board of India", body, _IBBI_MENU))


def _process(process: Process) -> str:
    rows = (
        ("CIN No", process.cin),
        ("Name of the Corporate Debtor", process.debtor),
        ("Process Initiated", process.initiated),
        ("Name of the Applicant", process.applicant),
        ("Sector of business of CD", ""),
    )
    table = "".join(f"<tr><td>{a}</td><td>{html.escape(b)}</td></tr>\n" for a, b in rows)
    blocks = "".join(
        f'<div class="pro"><div class="processbx">Process with ICD: {day:%d-%m-%Y} </div>\n'
        "<table><th>Name</th><th>Registration No.</th><th>Appointed As</th><!--<th>From</th>-->\n"
        '<tr><td width="40%"><!-- <a href="#">old</a></td> --><a href="#"> Mr. Arun Bhatt </a></td>'
        '<td width="40%">IBBI/IPA-000/IP-N00000/2017-2018/00000</td><td width="20%">RP</td></tr>'
        "</table><hr></hr></div>\n"
        for day in process.admitted
    )
    return (
        f"<strong>For CIRP/Liquidation Assignment</strong>\n<table>{table}</table>\n"
        f"<h3>Professionals Associated</h3>\n{blocks}"
    )


def orders(sites: Sites, ask: Ask, court: str) -> Reply:
    rows = [order for order in sites.cases.orders if order.court == court]
    shown, page, pages, onward = paged(ask, rows, 20)
    if not shown and page > 1:
        return refused(404, "Not Found")
    base, first = sites.base("ibbi"), 1 + 20 * (page - 1)
    lines = "".join(_order_row(base, first + at, order) for at, order in enumerate(shown))
    pager = _pager(f"{base}/orders/{court}", {}, page, pages, onward)
    body = (
        f"<div>{pager}<p>Total Records : {len(rows)}</p>\n"
        '<table class="cols-4 tb_abg reporttable">\n<thead>\n<tr>\n<th>Sr.No.</th>\n'
        "<th>Orders Date   </th>\n<th>Subject</th>\n\n<th>Orders Remarks   </th>\n</tr>\n</thead>\n"
        f"<tbody>\n{lines}</tbody>\n</table></div>"
    )
    return Reply(whole_page("Orders", body, _IBBI_MENU))


def _order_row(base: str, number: int, order: Order) -> str:
    link = f"{base}/uploads/order/{_pdf(order.subject + order.court + order.remarks)}"
    return (
        f"<tr>\n<td>\n  {number}   </td>\n<td>\n  {order.ordered:%d %b, %Y}   </td>\n<td>\n"
        f'  <a href="{link}" download="">{html.escape(order.subject)}&nbsp;\n  {_BADGE}(548.55 KB)'
        f"</a>\n</td>\n\n<td>\n  {html.escape(order.remarks)}   </td>\n</tr>\n"
    )
