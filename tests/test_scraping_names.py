"""Names of companies: spellings of one name, names that must stay apart, likeness."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scraping.names import likeness, name_of

SAME = (
    ("Jet Airways (India) Limited", "JET AIRWAYS INDIA LTD."),
    ("Berger Paints (I) Limited", "Berger Paints India Ltd"),
    ("Cox & Kings Limited", "COX AND KINGS LIMITED"),
    ("IL&FS Transportation Networks Limited", "IL&amp;FS Transportation Networks Ltd"),
    ("IL&FS Transportation Networks Limited", "IL &amp;amp; FS Transportation Networks Ltd"),
    ("R. S. Software (India) Limited", "RS Software India Limited"),
    ("D S Kulkarni Developers Limited", "D.S. KULKARNI DEVELOPERS LTD"),
    ("The Hi-Tech Gears Limited", "Hitech Gears Ltd"),
    ("Dr. Reddy's Laboratories Limited", "DR REDDYS LABORATORIES LTD."),
    ("Dr. Reddy’s Laboratories Limited", "DR REDDY`S LABORATORIES LTD."),
    ("M/s. PSL Limited", "Psl Ltd"),
    ("M/S PSL LIMITED", "Messrs PSL Limited"),
    ("Neo Corp Intl. Ltd.", "NEO CORPORATION INTERNATIONAL LIMITED"),
    ("Gillanders Arbuthnot & Company Limited", "Gillanders Arbuthnot & Co. Ltd"),
    ("ＰＳＬ\u3000Ｌｉｍｉｔｅｄ", "PSL Limited"),
    ("Nestlé India Limited", "NESTLE INDIA LIMITED"),
    ("C Mahendra Exports Ltd(Liquidated)", "C Mahendra Exports Limited"),
    ("Kwality Limited (in liquidation)", "KWALITY LIMITED"),
    ("Kwality Limited - under CIRP", "KWALITY LIMITED"),
    ("Kwality Limited (Corporate Debtor)", "KWALITY LIMITED"),
)

# Distinct companies, most of them real.
APART = (
    ("Reliance Capital Limited", "Reliance Communications Limited"),
    ("Future Retail Limited", "Future Enterprises Limited"),
    ("Tata Steel Limited", "Tata Steel International (India) Limited"),
    ("Orient Paper & Industries Limited", "Orient Cement Limited"),
    ("Cox & Kings Limited", "Cox & Kings Financial Service Limited"),
    ("L&T Finance Limited", "L&T Finance Holdings Limited"),
    ("Khaitan (India) Limited", "Khaitan Limited"),
    ("Man Industries (India) Limited", "Man Infraconstruction Limited"),
    ("Uttam Galva Steels Limited", "Uttam Value Steels Limited"),
    ("Asian Hotels (North) Limited", "Asian Hotels (East) Limited"),
    ("Solar Industries India Limited", "Safari Industries (India) Limited"),
    ("X Industries Limited", "X Infra Limited"),
    ("Alpha Beta Limited", "Beta Alpha Limited"),
)


@pytest.mark.parametrize(("one", "other"), SAME)
def test_spellings_of_one_name_have_one_key(one: str, other: str) -> None:
    assert name_of(one).key == name_of(other).key != ""
    assert name_of(one).form == name_of(other).form == "public"


@pytest.mark.parametrize(("one", "other"), APART)
def test_other_names_stay_apart(one: str, other: str) -> None:
    assert name_of(one).key != name_of(other).key


@pytest.mark.parametrize(("one", "other"), APART[:-2])
def test_real_companies_are_not_alike(one: str, other: str) -> None:
    assert likeness(name_of(one), name_of(other)) < 88


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("Alpha Steel Limited", "public"),
        ("Alpha Steel Pvt. Ltd.", "private"),
        ("Alpha Steel Pvt.Ltd", "private"),
        ("Alpha Steel (P) Ltd", "private"),
        ("Alpha Steel P Ltd", "private"),
        ("ALPHA STEEL (OPC) PRIVATE LIMITED", "private"),
        ("Alpha Steel Private Limited through its Resolution Professional", "private"),
        ("A B P Limited", "public"),  # three initials
        ("Alpha Steel LLP", "partnership"),
        ("Alpha Steel Limited Liability Partnership", "partnership"),
        ("Punjab & Sind Bank", ""),
        ("Limited", "public"),
        ("", ""),
    ],
)
def test_the_legal_form(text: str, form: str) -> None:
    assert name_of(text).form == form


def test_the_legal_form_is_not_part_of_the_key() -> None:
    assert name_of("Alpha Steel Pvt Ltd").key == name_of("Alpha Steel Limited").key == "alphasteel"


@pytest.mark.parametrize(
    ("text", "key", "others"),
    [
        ("BIL Vyapar Ltd (formerly Binani Industries)", "bilvyapar", ["binaniindustries"]),
        ("X Ltd. (Formerly known as Y (India) Limited)", "x", ["yindia"]),
        ("X Limited, erstwhile Y Limited", "x", ["y"]),
        ("X Limited (earlier known as Y Ltd, formerly Z Ltd)", "x", ["y", "z"]),
        ("Y Limited (now known as X Limited)", "y", ["x"]),
        ("X Limited f/k/a Y Limited", "x", ["y"]),
        ("X Limited (formerly X Ltd)", "x", []),
        ("Erstwhile Motors Limited", "erstwhilemotors", []),
        (  # "Now" and "Formerly" of a name are not followed by another
            "Sab Events & Governance Now Media Limited",
            "sabeventsandgovernancenowmedia",
            [],
        ),
    ],
)
def test_other_names_that_a_name_mentions(text: str, key: str, others: list[str]) -> None:
    name = name_of(text)
    assert name.key == key
    assert [other.key for other in name.others] == others


def test_a_former_name_has_the_legal_form_of_the_company() -> None:
    assert name_of("X Private Limited (formerly Y)").others[0].form == "private"
    assert name_of("X Limited (formerly Y Pvt Ltd)").others[0].form == "private"


@pytest.mark.parametrize("text", ["", "  ", "-", "()", "&nbsp;", "'''", "…"])
def test_no_name(text: str) -> None:
    assert name_of(text).key == ""


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("KSS Limited", True),
        ("PSL Industries Limited", True),
        ("MBL Infrastructures Limited", True),
        ("Kwality Limited", False),
        ("FE (India) Limited", True),
        ("SRS Real Limited", False),
    ],
)
def test_short_names(text: str, short: bool) -> None:
    assert name_of(text).is_short is short


def test_likeness() -> None:
    assert likeness(name_of("Alpha Steel Limited"), name_of("ALPHA STEEL LTD")) == 100
    # 13 characters of the one, 14 of the other: 13 of each are common, in their order.
    titagarh = name_of("Titagarh Rails Ltd"), name_of("Titagarh Rail Ltd")
    assert likeness(*titagarh) == pytest.approx(100 * 2 * 13 / 27)
    # Whole names differ in four of fifty letters; what tells them apart is one word each.
    one, other = name_of("Bafna Pharmaceuticals Ltd"), name_of("Ajanta Pharmaceuticals Ltd")
    assert likeness(one, other) == likeness(name_of("Bafna Ltd"), name_of("Ajanta Ltd")) < 60


@given(st.text(max_size=80))
def test_any_text_is_a_name_or_none(text: str) -> None:
    name = name_of(text)
    assert "".join(sorted(name.key)) == "".join(sorted("".join(name.words)))
    assert likeness(name, name) == 100


@given(st.text("abcdeRSLtd&.-'() ", min_size=1, max_size=40))
def test_case_and_outer_space_do_not_count(text: str) -> None:
    assert name_of(text) == name_of(f"  {text.upper()}  ")


def test_no_two_issuers_of_the_exchange_share_a_name_today(shared: Path) -> None:
    with (shared / "fixtures/listings/EQUITY_L_2025-11.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, skipinitialspace=True))
    issuers: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        issuers[name_of(row["NAME OF COMPANY"]).key].add(row["ISIN NUMBER"][3:7])
    assert len(rows) == 2200
    assert [key for key, found in issuers.items() if len(found) > 1] == []
