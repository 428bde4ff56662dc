"""Names of companies: when two spellings are one name, and how alike two names are."""

from __future__ import annotations

import html
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Literal

from rapidfuzz import fuzz

Form = Literal["public", "private", "partnership", ""]
PRIVATE_FORMS: tuple[Form, ...] = ("private", "partnership")  # whose shares cannot be listed

# One word each, written in several ways. What may stand for two words is not here: "Ind" is India
# or Industries, and "Infra", "Tech" or "Labs" are words of names of their own.
_SAME_WORD = {
    "ltd": "limited",
    "pvt": "private",
    "pte": "private",
    "co": "company",
    "cos": "companies",
    "corp": "corporation",
    "corpn": "corporation",
    "intl": "international",
    "intnl": "international",
    "inds": "industries",
    "mfg": "manufacturing",
    "mfrs": "manufacturers",
    "engg": "engineering",
    "bros": "brothers",
    "govt": "government",
}

# Words that many names share: what is left of a name without them tells it from others.
_COMMON_WORDS = """
and of the india indian bharat hindustan company companies corporation enterprises
enterprise international global overseas group holdings holding industries industry
industrial manufacturing services service solutions systems technologies technology
infotech software infrastructure infrastructures infra projects developers construction
constructions engineering engineers finance financial capital investments investment
securities leasing housing properties estates realty power energy steel steels metals
alloys ispat cement cements chemicals chemical petrochemicals fertilizers pharma
pharmaceuticals laboratories drugs healthcare hospitals textiles textile spinning mills
cotton synthetics fabrics fashions exports trading marketing retail foods food agro sugar
sugars paper papers plastics polymers hotels resorts media entertainment communications
telecom logistics shipping airlines auto motors electronics electricals gems jewellers
products ventures
"""
_COMMON = frozenset(word.removesuffix("s") for word in _COMMON_WORDS.split())

_FORMERLY = re.compile(
    r"[\s(\[,;:/-]+(?:"
    r"(?:formerly|erstwhile|previously|earlier|presently)(?:\s+(?:known|called))?(?:\s+as)?"
    r"|now\s+known\s+as|also\s+known\s+as|f\s*[/.]\s*k\s*[/.]\s*a\.?|fka"
    r")[\s:.,-]+(?P<other>.+)$"
)
_STANDING = re.compile(  # not part of a name: "(in liquidation)", "- under CIRP"
    r"[(\[][^()\[\]]*\b(?:liquidation|liquidated|merged|amalgamated|cirp|insolvency"
    r"|resolution process|corporate debtor)\b[^()\[\]]*[)\]]"
    r"|[\s,-]+(?:in|under)\s+(?:liquidation|cirp)\s*$"
)
_MESSRS = re.compile(r"^\s*(?:m\s*/\s*s\b\.?|messrs\b\.?)\s*")
_SHORT_FORM = (
    (re.compile(r"[(\[]\s*i\s*[)\]]"), " india "),
    (re.compile(r"[(\[]\s*p\s*[)\]]"), " private "),
)
_APOSTROPHE = re.compile("['’‘`´′]")
_NO_LETTER = re.compile(r"[\W_]+")


@dataclass(frozen=True)
class Name:
    """A name as it is compared.

    Attributes:
        key: letters and digits of its words, in order, without the legal form: two spellings of
            one name have the same key. White space does not count, as in the rule by which the
            register of companies refuses a name that another company has (rule 8 of the Companies
            (Incorporation) Rules 2014); the order of words does.
        words: the words, sorted, to compare by likeness.
        form: the legal form that it states, "" where it states none.
        others: other names of the same company that it mentions: "(formerly …)".
    """

    key: str
    words: tuple[str, ...]
    form: Form
    others: tuple[Name, ...] = ()

    @property
    def sorted_words(self) -> str:
        """The words as one text."""
        return " ".join(self.words)

    @property
    def telling(self) -> str:
        """The words that tell it from other names; all of them where all are common."""
        telling = (word for word in self.words if word.removesuffix("s") not in _COMMON)
        return " ".join(telling) or self.sorted_words

    @property
    def is_short(self) -> bool:
        """Whether too little tells it from others for a likeness to mean anything."""
        telling = self.telling
        return " " not in telling and len(telling) <= 4


@lru_cache(maxsize=200_000)
def name_of(text: str) -> Name:
    """A name as it stands in a document, made comparable; `key` is "" where no name is left."""
    plain = _STANDING.sub(" ", _fold(text))
    formerly = _FORMERLY.search(plain)
    if formerly is None or not _NO_LETTER.sub("", plain[: formerly.start()]):
        return _name(plain)
    main, other = _name(plain[: formerly.start()]), name_of(formerly["other"])
    if not (main.key and other.key):
        return main if main.key else other
    same_form = Name(other.key, other.words, other.form or main.form)
    others = tuple(o for o in (same_form, *other.others) if o.key != main.key)
    return Name(main.key, main.words, main.form, others)


def _fold(text: str) -> str:
    """Lower case, without entities, accents and look-alike characters."""
    unescaped = html.unescape(html.unescape(text))
    folded = unicodedata.normalize("NFKC", unescaped).casefold()
    parts = unicodedata.normalize("NFKD", folded)
    return "".join(character for character in parts if not unicodedata.combining(character))


def _name(plain: str) -> Name:
    words = _words(plain)
    form = _form(words)
    while len(words) > 1 and words[-1] in ("limited", "private", "opc", "llp", "plc"):
        words.pop()
    if len(words) > 1 and words[0] == "the":
        words = words[1:]
    words = _initials(words)
    return Name("".join(words), tuple(sorted(words)), form)


def _words(plain: str) -> list[str]:
    plain = _MESSRS.sub("", plain)
    for pattern, word in _SHORT_FORM:
        plain = pattern.sub(word, plain)
    plain = _APOSTROPHE.sub("", plain).replace("&", " and ")
    plain = _NO_LETTER.sub(" ", plain)
    plain = plain.replace("limited liability partnership", "llp")
    words = [_SAME_WORD.get(word, word) for word in plain.split()]
    if words[-2:] == ["p", "limited"] and len("".join(words[-3:-2])) > 1:
        words[-2] = "private"  # but A B P Limited is a company of three initials
    return words


def _form(words: list[str]) -> Form:
    """The legal form, wherever in the text it stands: what follows it may be a remark."""
    if "llp" in words:
        return "partnership"
    for word, following in pairwise([*words, ""]):
        if word == "opc" or (word == "private" and following in ("limited", "")):
            return "private"
    return "public" if words[-1:] in (["limited"], ["plc"]) else ""


def _initials(words: list[str]) -> list[str]:
    """Words with runs of single letters made one word: R. S. Software is RS Software."""
    joined: list[str] = []
    open_run = False
    for word in words:
        single = len(word) == 1 and word.isalpha()
        if single and open_run:
            joined[-1] += word
        else:
            joined.append(word)
        open_run = single
    return joined


def likeness(one: Name, other: Name) -> float:
    """How alike two names are, 0 to 100: the lesser of all words' and of the telling words'.

    The order of words does not count. The telling words must be alike as well, for two names of
    three common words each are alike whatever the fourth is.
    """
    whole = fuzz.ratio(one.sorted_words, other.sorted_words)
    return float(min(whole, fuzz.ratio(one.telling, other.telling)))
