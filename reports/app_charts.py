"""The page's charts, as Altair draws them in the browser.

Streamlit gives a chart the colours of the theme that its reader has on, by the order of a scale's
names (`reports.app_settings.categorical`). So a name's place in its scale is its colour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import altair as alt
import pandas as pd

from reports.style import KNOWN, LIGHT

OTHERS = len(KNOWN)  # where the hues begin that are no class's
QUIET = "#7d8794"  # at least 3 to 1 on both papers
COMPANY, SECTOR = OTHERS + 4, OTHERS + 5
Drawing = alt.Chart | alt.LayerChart | alt.FacetChart
MOST_AFTER = 6.0  # years after the last statements up to which events are drawn
PLOT = 300  # pixels
AXIS = 70  # for charts below each other to begin at one place


def places(classes: Sequence[str]) -> dict[str, int]:
    """Place of each class in the theme's colours: the known ones have theirs, others in turn."""
    hues = len(LIGHT.others)
    rest = [name for name in classes if name not in KNOWN]
    turn = {name: OTHERS + at % hues for at, name in enumerate(rest)}
    return {n: KNOWN.index(n) if n in KNOWN else turn[n] for n in classes}


def scale(at: Mapping[str, int]) -> alt.Scale:
    """A colour scale that gives each name the colour at its place; blanks stand in between."""
    names = {place: name for name, place in at.items()}
    domain = [names.get(place, " " * (place + 1)) for place in range(max(at.values()) + 1)]
    return alt.Scale(domain=domain)


def year_of(days: pd.Series[Any]) -> pd.Series[float]:
    """A day as a number of years, as 2024.25: the same in every time zone of a browser."""
    times = pd.to_datetime(days)
    return times.dt.year + (times.dt.day_of_year - 1) / 366


def with_place(frame: pd.DataFrame) -> pd.DataFrame:
    """A frame with `at`, where its year end stands in time, and `end`, which says the day."""
    ends = pd.to_datetime(frame["fiscal_year_end"])
    return frame.assign(at=year_of(ends), end=ends.dt.strftime("%Y-%m-%d")).drop(
        columns="fiscal_year_end"
    )


def span(placed: pd.DataFrame, events: pd.DataFrame | None = None) -> tuple[float, float]:
    """First and last moment of the time line: the years shown, and the events soon after them."""
    last = float(placed["at"].max())
    if events is not None and len(events):
        dates = year_of(events["event_date"]).dropna()
        last = max([last, *dates[dates <= last + MOST_AFTER]])
    return float(placed["at"].min()) - 0.5, last + 0.5


def _time(placed: pd.DataFrame, reach: tuple[float, float]) -> alt.X:
    axis = alt.Axis(
        values=sorted(set(placed["at"])),
        labelExpr="floor(datum.value)",
        title=None,
        labelOverlap=True,
        grid=False,
    )
    return alt.X("at:Q", axis=axis, scale=alt.Scale(domain=list(reach), nice=False))


def _day() -> alt.Tooltip:
    return alt.Tooltip("end:N", title="Year end")


def _legend(
    names: Sequence[str], orient: Literal["top", "bottom"] = "top", line: bool = False
) -> alt.Legend:
    return alt.Legend(
        title=None,
        values=list(names),
        orient=orient,
        labelLimit=200,
        symbolOpacity=1,
        symbolType="stroke" if line else alt.Undefined,
        symbolSize=300 if line else alt.Undefined,
    )


def probability_chart(frame: pd.DataFrame, events: pd.DataFrame, classes: Sequence[str]) -> Drawing:
    """Probability of each class by year, and the insolvency events where they fell.

    Args:
        frame: fiscal_year_end, class, probability.
        events: event_date, event_type; those without a date are left out.
        classes: in the order of the legend.
    """
    placed, legend = with_place(frame), _legend(classes)
    reach = span(placed, events)
    colour = alt.Color("class:N", scale=scale(places(classes)), legend=legend)
    base = alt.Chart(placed).encode(
        x=_time(placed, reach),
        y=alt.Y(
            "probability:Q",
            scale=alt.Scale(domain=[0, 1]),
            axis=alt.Axis(format="%", title=None, tickCount=5, minExtent=AXIS, maxExtent=AXIS),
        ),
        color=colour,
        tooltip=[
            _day(),
            alt.Tooltip("class:N", title="Class"),
            alt.Tooltip("probability:Q", title="Probability", format=".1%"),
        ],
    )
    shape = alt.Shape("class:N", scale=alt.Scale(domain=list(classes)), legend=legend)
    lines = [base.mark_line(strokeWidth=2.5), base.mark_point(size=60, filled=True).encode(shape)]
    return alt.layer(*lines, *_events(events, reach)).properties(height=PLOT)


def _events(events: pd.DataFrame, reach: tuple[float, float]) -> list[alt.Chart]:
    """A line for each event within the years shown."""
    dates = pd.to_datetime(events["event_date"])
    names = events["event_type"].astype(str).str.replace("_", " ")
    placed = pd.DataFrame({"at": year_of(dates), "day": dates.dt.strftime("%Y-%m-%d"),
                           "event": names})  # fmt: skip
    shown = placed[placed["at"].between(*reach)]
    if shown.empty:
        return []
    kinds = list(dict.fromkeys(shown["event"]))
    dash = alt.StrokeDash(
        "event:N", legend=_legend(kinds, "bottom", line=True), scale=alt.Scale(domain=kinds)
    )
    tooltip = [alt.Tooltip("day:N", title="Event"), alt.Tooltip("event:N", title=" ")]
    rule = alt.Chart(shown).mark_rule(color=QUIET, strokeWidth=2)
    return [rule.encode(x="at:Q", strokeDash=dash, tooltip=tooltip)]


def strip_chart(frame: pd.DataFrame, events: pd.DataFrame, classes: Sequence[str]) -> Drawing:
    """Squares in the colour of the class: what was, and what the model says, by year.

    Args:
        frame: fiscal_year_end, row ("label" or "prediction"), class.
        events: of the chart above, whose time line this one shares.
        classes: that have a colour.
    """
    rows, placed = list(dict.fromkeys(frame["row"])), with_place(frame)
    colour = alt.Color("class:N", scale=scale(places(classes)), legend=None)
    drawing: Drawing = (
        alt.Chart(placed)
        .mark_point(size=170, filled=True, opacity=1)
        .encode(
            x=_time(placed, span(placed, events)),
            y=alt.Y("row:N", sort=rows, axis=alt.Axis(title=None, minExtent=AXIS, maxExtent=AXIS)),
            color=colour,
            shape=alt.Shape("class:N", scale=alt.Scale(domain=list(classes)), legend=None),
            tooltip=[
                _day(),
                alt.Tooltip("row:N", title=" "),
                alt.Tooltip("class:N", title="Class"),
            ],
        )
        .properties(height=40 + 28 * len(rows))
    )
    return drawing


def ratio_chart(frame: pd.DataFrame, title: str) -> Drawing:
    """A ratio of a company by year over the middle half of its sector.

    Args:
        frame: fiscal_year_end, value, low, median, high.
        title: written above it.
    """
    names, placed = {"company": COMPANY, "median": SECTOR}, with_place(frame)
    long = placed.rename(columns={"value": "company"}).melt(
        ["at", "end"], list(names), "series", "figure"
    )
    x, legend = _time(placed, span(placed)), _legend(list(names), line=True)
    dashes = alt.Scale(domain=list(names), range=[[1, 0], [5, 4]])
    line = alt.Chart(long.dropna()).encode(
        x=x,
        y=alt.Y("figure:Q", title=None, axis=alt.Axis(tickCount=5)),
        color=alt.Color("series:N", scale=scale(names), legend=legend),
        tooltip=[
            _day(),
            alt.Tooltip("series:N", title=" "),
            alt.Tooltip("figure:Q", title="Value", format=",.3f"),
        ],
    )
    band = alt.Chart(placed.dropna(subset=["low"])).mark_area(color=QUIET, opacity=0.25, aria=False)
    lines = line.mark_line(strokeWidth=2.5).encode(
        strokeDash=alt.StrokeDash("series:N", legend=legend, scale=dashes)
    )
    points = line.transform_filter("datum.series == 'company'").mark_point(size=45, filled=True)
    layers = [band.encode(x=x, y=alt.Y("low:Q", title=None), y2="high:Q"), lines, points]
    return alt.layer(*layers).properties(height=PLOT - 50, title=title)


def interval_chart(frame: pd.DataFrame) -> Drawing:
    """Macro-F1 of the first models with its 95 % interval.

    Args:
        frame: of `reports.app_board.intervals`.
    """
    order = list(frame["model"])
    y = alt.Y("model:N", sort=order, axis=alt.Axis(title=None, labelLimit=190))
    x = alt.X("low:Q", scale=alt.Scale(zero=False), title="Macro-F1 on the test rows")
    tooltip = [
        alt.Tooltip("model:N", title="Model"),
        alt.Tooltip("macro_f1:Q", title="Macro-F1", format=".3f"),
        alt.Tooltip("low:Q", format=".3f"),
        alt.Tooltip("high:Q", format=".3f"),
    ]
    base = alt.Chart(frame)
    spans = base.mark_rule(color=QUIET, strokeWidth=2).encode(x=x, x2="high:Q", y=y)
    colour = alt.Color("hue:N", scale=scale({"macro-F1": COMPANY}), legend=None)
    dots = base.transform_calculate(hue="'macro-F1'").mark_point(size=70, filled=True)
    layers = [spans.encode(tooltip=tooltip), dots.encode(x="macro_f1:Q", y=y, color=colour,
                                                         tooltip=tooltip)]  # fmt: skip
    return alt.layer(*layers).properties(height=90 + 30 * len(order))


def coverage_chart(frame: pd.DataFrame) -> Drawing:
    """Share of the ratios that could be computed by fiscal year.

    Args:
        frame: Fiscal year, Companies, Ratios computed (per cent).
    """
    shown = frame.rename(
        columns={"Fiscal year": "year", "Companies": "companies", "Ratios computed": "share"}
    ).assign(hue="ratios")
    drawing: Drawing = (
        alt.Chart(shown)
        .mark_bar()
        .encode(
            x=alt.X("year:O", title=None, axis=alt.Axis(labelAngle=0, labelOverlap=True)),
            y=alt.Y("share:Q", scale=alt.Scale(domain=[0, 100]), title="per cent"),
            color=alt.Color("hue:N", scale=scale({"ratios": COMPANY}), legend=None),
            tooltip=[
                alt.Tooltip("year:O", title="Fiscal year"),
                alt.Tooltip("companies:Q", title="Companies", format=","),
                alt.Tooltip("share:Q", title="Ratios computed, %", format=".1f"),
            ],
        )
        .properties(height=220)
    )
    return drawing
