"""The files of simulated firms: companies, events and statements with realistic gaps."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa

from features.demo_firm import LAST_YEAR, SECTORS, Array, Arrays, Run, total
from warehouse.items import ITEMS

# Simulated firms have neither associates nor operations that they give up.
ABSENT: Final = ("share_of_associates", "discontinued_operations")
COLUMNS: Final = tuple(item.name for item in ITEMS if item.name not in ABSENT)
# The Insolvency Code's cases start in 2017; new ones were suspended for a year of the pandemic.
ADMISSIONS: Final = (np.datetime64("2017-01-01"), np.datetime64("2024-12-31"))
SUSPENDED: Final = (np.datetime64("2020-03-25"), np.datetime64("2021-03-24"))


def companies_file(run: Run, ids: Array, rng: np.random.Generator) -> pd.DataFrame:
    """The companies file: survivors are members of the index."""
    stems = ("Aravex", "Belkora", "Chandrix", "Devanta", "Indrava", "Kaveron", "Lakmira", "Suryom")
    kinds = ("Industries", "Enterprises", "Works", "Corporation", "Ventures", "Projects", "Global")
    parts = zip(rng.choice(stems, len(ids)), rng.choice(kinds, len(ids)), ids, strict=True)
    return pd.DataFrame(
        {
            "company_id": [f"demo-{i}" for i in ids],
            "company_name": [f"{a} {b} {i} Limited (simulated)" for a, b, i in parts],
            "nse_symbol": [f"DEMO{i}" for i in ids],
            "sector": np.array([s.name for s in SECTORS], dtype=object)[run.fixed["sector"]],
            "is_financial": False,
            "in_nifty500": np.isnat(run.fixed["admitted"]),
        }
    )


def events_file(run: Run, companies: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Admissions, and for some of them how the process ended by the last simulated day."""
    at = np.flatnonzero(~np.isnat(run.fixed["admitted"]))
    date = run.fixed["admitted"][at]
    outcome = rng.choice(["liquidation", "resolution_approved", ""], len(at), p=[0.4, 0.35, 0.25])
    ended = date + rng.integers(270, 900, len(at)).astype("timedelta64[D]")
    over = (outcome != "") & (ended <= ADMISSIONS[1])
    rows = companies.iloc[np.concatenate([at, at[over]])]
    return pd.DataFrame(
        {
            "company_id": rows["company_id"].to_numpy(),
            "event_type": np.concatenate([np.full(len(at), "cirp_admission"), outcome[over]]),
            "event_date": np.concatenate([date, ended[over]]).astype("datetime64[s]"),
            "source": "simulated",
            "usable": True,
            "company_name": rows["company_name"].to_numpy(),
            "confidence": "A",  # the exact day, by construction
        }
    ).sort_values(["event_date", "company_id"], ignore_index=True)


def statements_file(run: Run, ids: Array, rng: np.random.Generator) -> pd.DataFrame:
    """The filed years as one row each, with gaps."""
    filed, end = run.yearly["filed"].T, run.yearly["end"].T
    joined = run.fixed["joined"] | (run.fixed["minority"] > 0)
    lag = rng.integers(30, 75, end.shape) + (60 * run.yearly["squeeze"].T).astype(int)
    count = filed.sum(axis=1)
    frame: dict[str, Array] = {
        "company_id": np.repeat([f"demo-{i}" for i in ids], count),
        "fiscal_year_end": end[filed].astype("datetime64[s]"),
        "basis": np.repeat(np.where(joined, "consolidated", "standalone"), count),
        "months": run.yearly["months"].T[filed],
        "filed_at": (end + lag.astype("timedelta64[D]"))[filed].astype("datetime64[s]"),
    }
    items, gaps = _items(run), _gaps(end, joined, rng)
    for name in ("purchases_of_stock", "operating_and_direct_expenses"):
        # A source without the line shows it within materials, so that the expenses still add up.
        items["cost_of_materials"] += np.where(gaps[name], items[name].T, 0.0).T
    for name in COLUMNS:
        frame[name] = np.where(gaps[name], np.nan, items[name].T.round(2))[filed]
    return pd.DataFrame(frame)


# What a source with totals only still shows, and what one without detail does not show.
TOTALS: Final = (
    "shareholders_funds", "minority_interest", "non_current_liabilities", "current_liabilities",
    "equity_and_liabilities", "current_assets", "total_assets", "net_profit",
)  # fmt: skip
CASH_FLOWS: Final = (
    "operating_cash_flow", "investing_cash_flow", "financing_cash_flow", "net_cash_flow",
)  # fmt: skip
DETAIL: Final = (
    "current_investments", "inventories", "trade_receivables", "cash", "trade_payables",
    "other_current_liabilities", "capital_work_in_progress", "cost_of_materials",
    "purchases_of_stock", "operating_and_direct_expenses", "changes_in_inventories",
    "employee_benefits", "other_expenses",
)  # fmt: skip
PATCHY: Final = {  # share of companies whose source lacks the item in all years
    "current_investments": 0.18, "inventories": 0.04, "purchases_of_stock": 0.25,
    "operating_and_direct_expenses": 0.08, "capital_work_in_progress": 0.04, "dividends": 0.02,
}  # fmt: skip


def _gaps(end: Array, joined: Array, rng: np.random.Generator) -> Arrays:
    """What the source does not show: by its detail and the age of the year, never by the class."""
    age = LAST_YEAR - (end.astype("datetime64[Y]").astype(int) + 1970)
    rank = rng.random((len(end), 1))  # a poor source stays poor, and worse the further back
    totals, shallow = rank < 0.03 + 0.012 * age, rank < 0.035 + 0.014 * age
    gaps: Arrays = dict.fromkeys(COLUMNS, totals)
    gaps |= dict.fromkeys(TOTALS, np.zeros_like(totals))
    gaps |= dict.fromkeys(DETAIL, totals | shallow)
    for name, share in PATCHY.items():
        gaps[name] = gaps[name] | (rng.random((len(end), 1)) < share)
    gaps["minority_interest"] = np.broadcast_to(~joined[:, None], end.shape)
    unseen = rng.random(end.shape) < 0.015 * (age - 3).clip(0)
    return gaps | dict.fromkeys(CASH_FLOWS, unseen)


EXPENSES: Final = (
    "cost_of_materials", "purchases_of_stock", "operating_and_direct_expenses",
    "changes_in_inventories", "employee_benefits", "finance_costs", "depreciation",
    "other_expenses",
)  # fmt: skip
SHORT_ITEMS: Final = ("short_term_borrowings", "trade_payables", "other_current_liabilities")
QUICK_ITEMS: Final = ("cash", "current_investments", "inventories", "trade_receivables")


def _items(run: Run) -> Arrays:
    """Items in INR crore: parts are rounded first and then added, so that every sum holds.

    Other current assets and other long-term liabilities are in their totals only; other non-current
    assets are no item, and take up the roundings.
    """
    y = run.yearly
    item = {name: values.round(2) for name, values in (_costs(run) | _positions(y)).items()}
    item["net_sales"] = item["sales"]
    item["revenue"] = item["sales"] + item["other_income"]
    item["total_expenses"] = total(item, EXPENSES)
    item["profit_before_tax"] = item["revenue"] - item["total_expenses"] + item["exceptional_items"]
    item["net_profit"] = item["profit_before_tax"] - item["tax"]
    outside = (run.fixed["minority"] * item["net_profit"]).round(2)
    item["minority_interest"] = _carry(y["minority"], outside)
    retained = item["net_profit"] - outside - item["dividends"]
    item["reserves_and_surplus"] = _carry(y["reserves"], retained)
    item["shareholders_funds"] = item["equity_share_capital"] + item["reserves_and_surplus"]
    item["current_liabilities"] = total(item, SHORT_ITEMS)
    item["non_current_liabilities"] = item["long_term_borrowings"] + y["other_long"].round(2)
    item["current_assets"] = total(item, QUICK_ITEMS) + y["other_current"].round(2)
    item["equity_and_liabilities"] = total(item, TOTALS[:4])
    item["total_assets"] = item["equity_and_liabilities"]
    item["net_cash_flow"] = item["cash"] - y["opening_cash"].round(2)
    item["financing_cash_flow"] = 2 * item["net_cash_flow"] - total(
        item, ("net_cash_flow", "operating_cash_flow", "investing_cash_flow")
    )
    return {name: item[name] for name in COLUMNS}


def _carry(level: Array, change: Array) -> Array:
    """A balance carried forward from its first year by rounded changes."""
    return np.asarray(np.vstack([level[:1].round(2), change[1:]]).cumsum(axis=0))


def _costs(run: Run) -> Arrays:
    """Split the operating costs: staff, overhead, and goods with the change of finished stocks."""
    y, own = run.yearly, run.fixed
    cap = 0.6 * y["costs"] / (y["sales"] * (own["staff"] + own["overhead"]))
    staff, overhead = (own[k] * y["sales"] * cap.clip(max=1) for k in ("staff", "overhead"))
    goods = y["costs"] - staff - overhead
    risen = y["inventories"] + y["lost_inventories"] - y["opening_inventories"]
    change = np.clip(-0.5 * risen, -0.5 * goods, 0.5 * goods)
    direct = own["direct"] * (goods - change)
    bought = goods - change - direct
    return {
        "cost_of_materials": bought * (1 - own["traded"]),
        "purchases_of_stock": bought * own["traded"],
        "operating_and_direct_expenses": direct, "changes_in_inventories": change,
        "employee_benefits": staff, "other_expenses": overhead,
    }  # fmt: skip


def _positions(y: Arrays) -> Arrays:
    return {
        "sales": y["sales"], "other_income": y["other_income"], "finance_costs": y["interest"],
        "depreciation": y["wear"], "exceptional_items": y["exceptional"], "tax": y["tax"],
        "dividends": y["dividend"], "equity_share_capital": y["capital"],
        "long_term_borrowings": y["long_debt"], "short_term_borrowings": y["short_debt"],
        "trade_payables": y["payables"], "other_current_liabilities": y["dues"],
        "fixed_assets": y["fixed_assets"], "capital_work_in_progress": y["works"],
        "non_current_investments": y["investments"], "cash": y["cash"],
        "current_investments": y["quick_investments"], "inventories": y["inventories"],
        "trade_receivables": y["receivables"], "operating_cash_flow": y["operating"],
        "investing_cash_flow": y["investing"],
    }  # fmt: skip


def to_long(statements: pd.DataFrame) -> pa.Table:
    """The long statements file: one row per known item and none for a missing one."""
    values = statements[list(COLUMNS)].to_numpy(dtype=float)
    row, column = np.nonzero(~np.isnan(values))
    keys = pa.Table.from_pandas(
        statements.drop(columns=list(COLUMNS)), preserve_index=False
    ).replace_schema_metadata()
    for at, name in enumerate(keys.column_names):
        if name in ("fiscal_year_end", "filed_at"):
            keys = keys.set_column(at, name, keys[name].cast(pa.date32()))
    table = keys.take(pa.array(row))
    added = {
        "item": pa.array(COLUMNS).take(pa.array(column)),
        "value": pa.array(values[row, column]),
        "unit": pa.repeat("INR crore", len(row)),
        "source": pa.repeat("simulated", len(row)),
    }
    for name, cells in added.items():
        table = table.append_column(name, cells)
    return table
