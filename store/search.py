"""The language in which images are searched for: a text to conditions, errors at their place.

    night -blurry "red dog" engine:builtin steps:>30 since:monday

Conditions are joined: an image must meet all of them. A word is found anywhere in the prompts, in
any case and without regard to accents. A quoted text is one word, whatever it holds; in quotes
`\\"` is a quote and `\\\\` a backslash. `-` before a condition: images that do not meet it.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple, TypeAlias

import msgspec

from store.errors import RequestError
from store.limits import SEED_MAXIMUM
from store.records import Verdict

LONGEST = 2000
"""Characters of a search."""

MOST_TERMS = 50


class SearchError(RequestError):
    """A search that means nothing. What is wrong stands from `start` to before `end` in it."""

    def __init__(self, text: str, start: int, end: int, message: str, hint: str = "") -> None:
        super().__init__("search", text, message, hint)
        self.start = start
        self.end = end

    @property
    def text_at(self) -> str:
        """What is wrong, as it was typed."""
        return str(self.value)[self.start : self.end]


class SortKey(StrEnum):
    """What a list of images can be sorted by. `prompt`: the text of the first prompt."""

    DATE = "date"
    RATING = "rating"
    SEED = "seed"
    PROMPT = "prompt"


class Sort(NamedTuple):
    """An order of images: newest, highest rating, lowest seed, or A first, or the other way."""

    key: SortKey = SortKey.DATE
    is_reversed: bool = False

    def __str__(self) -> str:
        return f"-{self.key}" if self.is_reversed else self.key.value


NEWEST_FIRST = Sort()


# The values of conditions


class Words(msgspec.Struct, frozen=True, tag=True):
    """The prompts hold `text`, folded as in the index."""

    text: str


class Clue(msgspec.Struct, frozen=True, tag=True):
    """A word that may be an id's beginning or a seed too: any of them fits."""

    text: str
    seed: int | None
    id: str | None


class Span(msgspec.Struct, frozen=True, tag=True):
    """A number that lies within bounds, None for no bound. `is_above`: without the bound itself."""

    key: str
    low: float | None = None
    high: float | None = None
    is_above: bool = False
    is_below: bool = False


class Name(msgspec.Struct, frozen=True, tag=True):
    """A name that is `text`; where none is and it was not quoted, one that holds it."""

    key: str
    text: str
    is_exact: bool = False


class Size(msgspec.Struct, frozen=True, tag=True):
    """Width and height in pixels."""

    width: int
    height: int


class Reference(msgspec.Struct, frozen=True, tag=True):
    """`id`: the image's own id begins with `text`; `from`: that of what it was made from."""

    key: str
    text: str


class State(msgspec.Struct, frozen=True, tag=True):
    """What is so of an image: `is` favourite, `has` note, `verdict` different."""

    key: str
    word: str


class Weighted(msgspec.Struct, frozen=True, tag=True):
    """One prompt holds `text` and its weight lies within `span`."""

    text: str
    span: Span


Condition: TypeAlias = Words | Clue | Span | Name | Size | Reference | State | Weighted


class Term(msgspec.Struct, frozen=True):
    """A condition where it stands, from `start` to before `end`."""

    condition: Condition
    is_excluded: bool
    start: int
    end: int


class Search(msgspec.Struct, frozen=True):
    """What is searched for. `sort`: the order that it names, if any."""

    text: str = ""
    terms: tuple[Term, ...] = ()
    sort: Sort | None = None

    @property
    def wants_trashed(self) -> bool:
        """Whether images in the trash are asked for; else they are in no list."""
        trashed = State("is", "trashed")
        return any(term.condition == trashed and not term.is_excluded for term in self.terms)


EVERYTHING = Search()


_ACCENTS = re.compile("[\u0300-\u036f]+")
_STROKES = str.maketrans(
    {"ł": "l", "ø": "o", "đ": "d", "ħ": "h", "ŧ": "t", "ı": "i", "æ": "ae", "œ": "oe"}
)
"""Letters that are typed as others where a keyboard lacks them, and are one sign in Unicode."""


def fold(text: str) -> str:
    """`text` as it is compared: without case, accents and other forms of the same letters."""
    if text.isascii():
        return text.lower()
    # Some letters have another form only after the first time, as their accents are letters then.
    plain = _ACCENTS.sub("", unicodedata.normalize("NFKD", text).casefold())
    plain = unicodedata.normalize("NFKD", plain).casefold().translate(_STROKES)
    return unicodedata.normalize("NFC", plain)


def quote_text(text: str) -> str:
    """A term that finds `text` itself, whatever it is."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


# Keys


class _Value(NamedTuple):
    """The value of a term. `start` and `end` are its place in the search."""

    text: str
    is_quoted: bool
    start: int
    end: int


class Key(NamedTuple):
    """A word that may stand before a colon. `words` are those that may follow it, if they are few.

    `example` is a whole term; `sentence` says what it finds.
    """

    name: str
    example: str
    sentence: str
    words: tuple[str, ...] = ()


VERDICTS = {
    "identical": Verdict.IDENTICAL,
    "drifted": Verdict.LATENTS_DRIFTED,
    "different": Verdict.DIFFERENT,
    "cannot-run": Verdict.CANNOT_RUN,
    "not-verifiable": Verdict.NOT_VERIFIABLE,
    "never": None,
}
"""The newest verdict of an image, by the word for it; None where it was never verified."""

STATES = ("favourite", "trashed", "thinned", "imported")
POSSESSIONS = ("note", "tag", "rating")

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
_DATE_WORDS = ("today", "yesterday", *_WEEKDAYS, "week", "month", "year", *_MONTHS)

KEYS = {
    key.name: key
    for key in (
        Key("seed", "seed:1229080980", "the seed"),
        Key("id", "id:5ae3", "how the id begins"),
        Key("engine", "engine:builtin", "the engine, or a part of its name"),
        Key("model", "model:safelight", "the model, or a part of its name"),
        Key("sampler", "sampler:dpmpp", "the sampler, or a part of its name"),
        Key("style", "style:anime", "the style preset, or a part of its name"),
        Key("steps", "steps:20..30", "the steps; also >20, >=20, <20"),
        Key("cfg", "cfg:>7.5", "the cfg scale; also 5..8, <5"),
        Key("size", "size:512x768", "width and height in pixels"),
        Key("width", "width:>512", "the width in pixels"),
        Key("height", "height:512", "the height in pixels"),
        Key("session", "session:main", "the session, or a part of its name"),
        Key("tag", "tag:night", "a tag"),
        Key("rating", "rating:>=3", "the rating, 0 to 5"),
        Key("verdict", "verdict:different", "what the newest verification found", (*VERDICTS,)),
        Key("is", "is:favourite", "what the image is; trashed ones are else left out", STATES),
        Key("has", "has:note", "what was added to the image", POSSESSIONS),
        Key("weight", "weight:clouds<0", "a word in a prompt of that weight"),
        Key(
            "since", "since:monday", "not made before; also 3d, 2w, 14:30, 2026-11-20", _DATE_WORDS
        ),
        Key("before", "before:2026-11-20", "made before; also yesterday, 3d, 14:30", _DATE_WORDS),
        Key("from", "from:5ae3", "made directly from the image of this id"),
        Key(
            "sort",
            "sort:-seed",
            "the order: date, rating, seed, prompt; - turns it round",
            (*SortKey,),
        ),
    )
}
"""Every key, by its name."""

_OTHER_SPELLINGS = {
    "cfg_scale": "cfg",
    "cfgscale": "cfg",
    "style_preset": "style",
    "after": "since",
    "favorite": "favourite",
    "cannot run": "cannot-run",
    "not verifiable": "not-verifiable",
    "notes": "note",
    "tags": "tag",
    "trash": "trashed",
}


# Parsing

_KEY = re.compile(r"([^\W\d][\w]*):(?!:)")
_SURROGATES = re.compile("[\ud800-\udfff]")
_SPACE = re.compile(r"\s+")
_UNQUOTED = re.compile(r"\S+")
_IDENTITY = re.compile(r"[0-9a-f]{4,32}")
_LONG_IDENTITY = 8
"""Words that are of the letters a to f alone are ids only from this length: `faded` is none."""


def parse_search(text: str, now: datetime | None = None) -> Search:
    """What `text` asks for. `now` is when days and times of day are counted from.

    Raises `SearchError`.
    """
    if len(text) > LONGEST:
        raise SearchError(
            text, LONGEST, len(text), f"The search is longer than {LONGEST:,} characters."
        )
    terms: list[Term] = []
    sort: Sort | None = None
    reader = _Reader(text, now or datetime.now())
    for term in reader.list_terms():
        if isinstance(term, Sort):
            sort = term
            continue
        if len(terms) == MOST_TERMS:
            raise SearchError(
                text, term.start, len(text), f"A search holds {MOST_TERMS} conditions at most."
            )
        terms.append(term)
    return Search(text=text, terms=tuple(terms), sort=sort)


def parse_sort(text: str) -> Sort:
    """The order that `text` names: `seed`, or `-seed` for the other way. Raises `RequestError`."""
    is_reversed, name = text.startswith("-"), text.removeprefix("-").strip().lower()
    try:
        return Sort(SortKey(name), is_reversed)
    except ValueError:
        raise RequestError(
            "sort",
            text,
            f"{text!r} is no order.",
            f"Choose {join_words(SortKey)}; with - before it the other way round.",
        ) from None


def join_words(words: Iterable[str]) -> str:
    """`a, b or c`."""
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last


class _Reader:
    """Reads the terms of one search, from the left to the right."""

    def __init__(self, text: str, now: datetime) -> None:
        self.text = _SURROGATES.sub("\ufffd", text)
        self.now = now
        self.place = 0

    def list_terms(self) -> Iterator[Term | Sort]:
        while True:
            if space := _SPACE.match(self.text, self.place):
                self.place = space.end()
            if self.place >= len(self.text):
                return
            start = self.place
            is_excluded = self.text[start] == "-" and self._goes_on(start + 1)
            self.place += is_excluded
            read = self._read_term()
            if isinstance(read, Sort):
                if is_excluded:
                    raise self._error(
                        start,
                        self.place,
                        "The order stands behind the colon.",
                        f"Write sort:-{read.key}.",
                    )
                yield read
            elif read is not None:
                yield Term(read, is_excluded, start, self.place)

    def _goes_on(self, place: int) -> bool:
        return place < len(self.text) and not self.text[place].isspace()

    def _read_term(self) -> Condition | Sort | None:
        start = self.place
        if self.text[start] == '"':
            folded = fold(self._read_quoted())
            return Words(folded) if folded else None
        if match := _KEY.match(self.text, start):
            name = match[1].lower()
            name = _OTHER_SPELLINGS.get(name, name)
            if name not in KEYS:
                raise self._unknown(match)
            self.place = match.end()
            return self._read_value(name, start)
        match = _UNQUOTED.match(self.text, start)
        assert match is not None
        self.place = match.end()
        return _read_word(match[0])

    def _read_quoted(self) -> str:
        """The text in quotes that begins here; without an end it goes to the end of the search."""
        found = []
        place = self.place + 1
        while place < len(self.text) and self.text[place] != '"':
            if self.text[place] == "\\" and self.text[place + 1 : place + 2] in ('"', "\\"):
                place += 1
            found.append(self.text[place])
            place += 1
        self.place = min(place + 1, len(self.text))
        return "".join(found)

    def _read_value(self, name: str, start: int) -> Condition | Sort:
        begin = self.place
        if name == "weight":
            return self._read_weight(begin)
        if self.text[begin : begin + 1] == '"':
            value = _Value(self._read_quoted(), True, begin, self.place)
        else:
            match = _UNQUOTED.match(self.text, begin)
            text = match[0] if match else ""
            self.place = begin + len(text)
            value = _Value(text, False, begin, self.place)
        if not value.text.strip():
            raise self._error(start, self.place, f"{name}: needs a value.", _advise(name))
        return _READERS[name](self, name, value)

    def _read_weight(self, begin: int) -> Condition:
        if self.text[begin : begin + 1] == '"':
            word = self._read_quoted()
        else:
            match = re.compile(r"[^\s<>=≤≥]*").match(self.text, begin)
            word = match[0] if match else ""
            self.place = begin + len(word)
        match = _UNQUOTED.match(self.text, self.place)
        bounds = match[0] if match else ""
        value = _Value(bounds, False, self.place, self.place + len(bounds))
        self.place = value.end
        if not fold(word) or not bounds:
            raise self._error(
                begin, self.place, "weight: needs a word and a weight.", _advise("weight")
            )
        return Weighted(fold(word), self.read_span("weight", value, is_whole=False))

    # Values

    def read_whole(self, name: str, value: _Value) -> Span:
        return self.read_span(name, value, is_whole=True)

    def read_number(self, name: str, value: _Value) -> Span:
        return self.read_span(name, value, is_whole=False)

    def read_span(self, name: str, value: _Value, *, is_whole: bool) -> Span:
        number = r"-?\d{1,15}" if is_whole else r"-?(?:\d{1,15}(?:\.\d{0,15})?|\.\d{1,15})"
        if match := re.fullmatch(rf"(<=|>=|<|>|=|≤|≥)?({number})", value.text):
            bound = float(match[2])
            match match[1]:
                case "<":
                    return Span(name, high=bound, is_below=True)
                case "<=" | "≤":
                    return Span(name, high=bound)
                case ">":
                    return Span(name, low=bound, is_above=True)
                case ">=" | "≥":
                    return Span(name, low=bound)
            return Span(name, low=bound, high=bound)
        number = number.replace(r"(?:\.\d{0,15})?", r"(?:\.\d{1,15})?")
        match = re.fullmatch(rf"=?({number})?(?:\.\.|…)({number})?", value.text)
        if match and (match[1] or match[2]):
            low = float(match[1]) if match[1] else None
            high = float(match[2]) if match[2] else None
            if low is not None and high is not None and low > high:
                raise self._error(
                    value.start,
                    value.end,
                    f"Nothing is from {low:g} to {high:g}.",
                    "Write the lower number first.",
                )
            return Span(name, low=low, high=high)
        what = "a whole number" if is_whole else "a number"
        raise self._error(
            value.start,
            value.end,
            f"{name}: takes {what}, and {_show(value.text)} is none.",
            "Write N, >N, >=N, <N, <=N or N..N.",
        )

    def read_size(self, name: str, value: _Value) -> Size:
        match = re.fullmatch(r"(\d{1,6})[xX×](\d{1,6})", value.text)
        if match is None:
            raise self._error(
                value.start,
                value.end,
                f"{_show(value.text)} is no size.",
                "Write WIDTHxHEIGHT, as size:512x768, or width:512.",
            )
        return Size(int(match[1]), int(match[2]))

    def read_name(self, name: str, value: _Value) -> Name:
        return Name(name, value.text, is_exact=value.is_quoted)

    def read_reference(self, name: str, value: _Value) -> Reference:
        text = value.text.lower()
        is_place = re.fullmatch(r"@[1-9]\d{0,8}", text) and name == "from"
        if not is_place and not re.fullmatch(r"[0-9a-f]{1,32}", text):
            also = ", or @1 for the newest" if name == "from" else ""
            raise self._error(
                value.start,
                value.end,
                f"{_show(value.text)} does not begin an id.",
                f"Ids are of the characters 0-9 and a-f{also}.",
            )
        return Reference(name, text)

    def read_state(self, name: str, value: _Value) -> State:
        word = value.text.lower()
        word = _OTHER_SPELLINGS.get(word, word)
        words = KEYS[name].words
        if word not in words:
            raise self._error(
                value.start,
                value.end,
                f"{name}: does not know {_show(value.text)}.",
                _guess(word, words) + f"It is {join_words(words)}.",
            )
        return State(name, word)

    def read_since(self, name: str, value: _Value) -> Span:
        return Span("created_at", low=self._read_moment(value))

    def read_before(self, name: str, value: _Value) -> Span:
        return Span("created_at", high=self._read_moment(value), is_below=True)

    def _read_moment(self, value: _Value) -> float:
        try:
            moment = parse_moment(value.text, self.now)
            return moment.timestamp()
        except (ValueError, OverflowError, OSError):
            raise self._error(
                value.start,
                value.end,
                f"{_show(value.text)} is no day and no time.",
                _guess(value.text.lower(), _DATE_WORDS)
                + "Write today, yesterday, monday, 3d, 2w, 14:30, 2026-11-20 or 2026-11-20T14:30.",
            ) from None

    def read_sort(self, name: str, value: _Value) -> Sort:
        try:
            return parse_sort(value.text)
        except RequestError as error:
            raise self._error(value.start, value.end, error.message, error.hint) from None

    # Errors

    def _error(self, start: int, end: int, message: str, hint: str = "") -> SearchError:
        return SearchError(self.text, start, end, message, hint)

    def _unknown(self, match: re.Match[str]) -> SearchError:
        guess = _guess(match[1].lower(), KEYS, ":")
        return self._error(
            match.start(),
            match.end(),
            f"There is no key {_show(match[0])}.",
            f"{guess}Put it in quotes to search for the text itself.",
        )


def _read_word(word: str) -> Words | Clue | None:
    # Words are found by any part of them, so this is what somebody means who knows it from others.
    word = word.rstrip("*") or word
    text = word.lower()
    seed = int(text) if re.fullmatch(r"[1-9][0-9]{0,9}", text) else None
    if seed is not None and seed > SEED_MAXIMUM:
        seed = None
    is_id = _IDENTITY.fullmatch(text) and (len(text) >= _LONG_IDENTITY or not text.isalpha())
    folded = fold(word)
    if seed is None and not is_id:
        return Words(folded) if folded else None
    return Clue(folded, seed, text if is_id else None)


def _show(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:39]}…")


def _guess(word: str, words: Iterable[str], ending: str = "") -> str:
    found = difflib.get_close_matches(word[:40], list(words), 1, 0.6)
    return f"Did you mean {found[0]}{ending}? " if found else ""


def _advise(name: str) -> str:
    key = KEYS[name]
    return f"{key.sentence[0].upper()}{key.sentence[1:]}: {key.example}"


_READERS: dict[str, Callable[[_Reader, str, _Value], Condition | Sort]] = {
    "seed": _Reader.read_whole,
    "id": _Reader.read_reference,
    "engine": _Reader.read_name,
    "model": _Reader.read_name,
    "sampler": _Reader.read_name,
    "style": _Reader.read_name,
    "steps": _Reader.read_whole,
    "cfg": _Reader.read_number,
    "size": _Reader.read_size,
    "width": _Reader.read_whole,
    "height": _Reader.read_whole,
    "session": _Reader.read_name,
    "tag": _Reader.read_name,
    "rating": _Reader.read_whole,
    "verdict": _Reader.read_state,
    "is": _Reader.read_state,
    "has": _Reader.read_state,
    "since": _Reader.read_since,
    "before": _Reader.read_before,
    "from": _Reader.read_reference,
    "sort": _Reader.read_sort,
}


# Days and times

_AGE = re.compile(r"(\d{1,5})(min|mo|h|d|w|y)")
_AGES: dict[str, Callable[[datetime, int], datetime]] = {
    "min": lambda now, count: now - timedelta(minutes=count),
    "h": lambda now, count: now - timedelta(hours=count),
    "d": lambda now, count: now - timedelta(days=count),
    "w": lambda now, count: now - timedelta(weeks=count),
    "mo": lambda now, count: _go_back(now, count),
    "y": lambda now, count: _go_back(now, 12 * count),
}
_FORMS = ("%Y-%m-%d", "%Y-%m", "%Y", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S")


def parse_moment(text: str, now: datetime) -> datetime:
    """The moment that `text` names, local time: the beginning of a day, month or year.

    A weekday is the last one, today if it is today; a time of day is today's; `3d` is three days
    ago to the second. Raises `ValueError`.
    """
    word = text.strip().lower()
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    match word:
        case "now":
            return now
        case "today":
            return day
        case "yesterday":
            return day - timedelta(days=1)
        case "week":
            return day - timedelta(days=day.weekday())
        case "month":
            return day.replace(day=1)
        case "year":
            return day.replace(month=1, day=1)
    for names, find in ((_WEEKDAYS, _find_weekday), (_MONTHS, _find_month)):
        for place, name in enumerate(names):
            if word == name or (len(word) == 3 and name.startswith(word)):
                return find(day, place)
    if re.fullmatch(rf"(?:{_AGE.pattern})+", word):
        moment = now
        for count, unit in _AGE.findall(word):
            moment = _AGES[unit](moment, int(count))
        return moment
    if match := re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", word):
        return day.replace(hour=int(match[1]), minute=int(match[2]))
    for form in _FORMS:
        try:
            return datetime.strptime(text.strip().upper(), form)
        except ValueError:
            continue
    raise ValueError(text)


def _find_weekday(day: datetime, weekday: int) -> datetime:
    return day - timedelta(days=(day.weekday() - weekday) % 7)


def _find_month(day: datetime, place: int) -> datetime:
    year = day.year if place + 1 <= day.month else day.year - 1
    return day.replace(year=year, month=place + 1, day=1)


def _go_back(now: datetime, months: int) -> datetime:
    """The same day and time so many months ago, or the last day of that month."""
    month = now.year * 12 + now.month - 1 - months
    year, place = divmod(month, 12)
    for day in range(now.day, 27, -1):
        try:
            return now.replace(year=year, month=place + 1, day=day)
        except ValueError:
            if year < 1:
                raise
    return now.replace(year=year, month=place + 1)
