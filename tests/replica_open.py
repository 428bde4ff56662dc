"""The replicas of the World Bank and of data.gov.in."""

from __future__ import annotations

from typing import Final

from replica_base import JSON, Ask, Reply, Sites, as_json, paged

OGD_RESOURCE: Final = "4dbe5667-7b6b-41d7-82af-211562424d9a"

_SERIES: Final = {
    "FP.CPI.TOTL.ZG": ("inflation", "Inflation, consumer prices (annual %)"),
    "SL.UEM.TOTL.ZS": ("unemployment", "Unemployment, total (% of total labor force)"),
    "FR.INR.RINR": ("real_interest", "Real interest rate (%)"),
    "NY.GDP.MKTP.KD.ZG": ("gdp_growth", "GDP growth (annual %)"),
}


def indicator(sites: Sites, ask: Ask, code: str) -> Reply:
    """A series from 1960 on, newest first; a year without a value has null."""
    if code not in _SERIES:
        problem = {"id": "120", "key": "Invalid value", "value": "The parameter is not valid"}
        return as_json([{"message": [problem]}])
    name, label = _SERIES[code]
    known = sites.world.macro[name]
    rows = [
        {
            "indicator": {"id": code, "value": label},
            "country": {"id": "IN", "value": "India"},
            "countryiso3code": "IND",
            "date": str(year),
            "value": known.get(year),
            "unit": "",
            "obs_status": "",
            "decimal": 1,
        }
        for year in range(sites.world.today.year - 1, 1959, -1)
    ]
    size = max(ask.number("per_page", 50), 1)
    shown, page, pages, _ = paged(ask, rows, size)
    return as_json(
        [
            {
                "page": page,
                "pages": pages,
                "per_page": size,
                "total": len(rows),
                "sourceid": "2",
                "lastupdated": f"{sites.world.today}",
            },
            shown,
        ]
    )


_OGD_FIELDS: Final = (
    "CIN", "CompanyName", "CompanyROCcode", "CompanyCategory", "CompanyClass",
    "CompanyRegistrationdate_date", "Listingstatus", "CompanyStatus", "CompanyStateCode",
)  # fmt: skip


def register(sites: Sites, ask: Ask) -> Reply:
    """Rows that equal every `filters[Field]`; a request without a key is refused."""
    if not ask.query.get("api-key"):
        return Reply(b'{"error": "Key not authorised"}', JSON, 403)
    wanted = {name[8:-1]: text for name, text in ask.query.items() if name.startswith("filters[")}
    rows = [
        dict(zip(_OGD_FIELDS, (
            r.cin, r.name, "ROC Sample", "Company limited by shares",
            "Public" if r.cin[12:15] == "PLC" else "Private", f"{r.cin[8:12]}-04-01",
            r.listing, r.status, r.cin[6:8],
        ), strict=True))
        for r in sites.cases.registered
    ]  # fmt: skip
    found = [row for row in rows if all(row.get(name) == text for name, text in wanted.items())]
    offset, limit = ask.number("offset", 0), min(ask.number("limit", 10), 10_000)
    shown = found[:limit] if ask.stuck else found[offset : offset + limit]
    return as_json(
        {
            "index_name": OGD_RESOURCE,
            "title": "Registrars of Companies (RoC)-wise Company Master Data (replica)",
            "org": ["Ministry of Corporate Affairs"],
            "created": 1600000000,
            "updated": 1750000000,
            "field": [{"name": n, "id": n, "type": "keyword"} for n in _OGD_FIELDS],
            "status": "ok",
            "total": len(found) * (9 if ask.stuck else 1),
            "count": len(shown),
            "limit": str(limit),
            "offset": str(offset),
            "records": shown,
        }
    )
