"""Clues by form: telephone numbers, web addresses, postal codes, number plates, prices.

Knows national formats through phonenumbers, babel and GeoNames' country table.
"""

import functools
import re
from collections.abc import Callable, Iterable, Iterator

from tools.clues_prior import countries, country_facts, drives_left
from tools.clues_usage import Clue

DOMAIN_FLOOR = 0.006
CALLING_CODE_FLOOR = 0.006
NATIONAL_NUMBER_FLOOR = 0.35
CURRENCY_FLOOR = 0.03
PLATE_FLOOR = 0.3
DRIVING_FLOOR = 0.03

BORROWED_DOMAINS = frozenset(
    "io co tv me ai fm to ly gg cc ws im sh st vc la ac ag tk nu eu".split()  # noqa: SIM905  # a list reads worse
)
"""Country domains sold to everyone."""
GIVEN_DOMAINS = {"uk": "GB", "gov": "US", "mil": "US", "edu": "US", "cat": "ES", "рф": "RU",
                 "scot": "GB", "wales": "GB", "bayern": "DE", "berlin": "DE", "hamburg": "DE",
                 "koeln": "DE", "wien": "AT", "tirol": "AT", "swiss": "CH", "bzh": "FR",
                 "paris": "FR", "amsterdam": "NL", "eus": "ES", "gal": "ES", "quebec": "CA",
                 "nyc": "US", "london": "GB", "tokyo": "JP", "vlaanderen": "BE"}  # fmt: skip

EURO = "AT BE CY DE EE ES FI FR GR HR IE IT LT LU LV MT NL PT SI SK MC SM VA AD ME XK BG"
DOLLAR = "US CA AU NZ MX AR CL CO SG HK TW JM BS BZ PR EC SV UY NA"
PRICES = (
    (r"€|\bEUR\b", EURO), (r"£|\bGBP\b", "GB GI IM JE GG FK"), (r"₺|\bTL\b", "TR"),
    (r"₹|\bRs\.?", "IN PK LK NP MU"), (r"₽|\bруб\b", "RU BY"), (r"₴|\bгрн\b", "UA"),
    (r"₪|\bNIS\b", "IL PS"), (r"₩|원", "KR KP"), (r"฿|บาท", "TH"), (r"₫|\bVND\b", "VN"),
    (r"₦", "NG"), (r"₱|\bPHP\b", "PH"), (r"₸|тг", "KZ"), (r"₾", "GE"), (r"֏", "AM"),
    (r"\bz[łl]\b|\bPLN\b", "PL"), (r"\bK[čc]\b|\bCZK\b", "CZ"), (r"\bFt\.?\b|\bHUF\b", "HU"),
    (r"\bkr\b\.?|(?<=\d),-|:-", "SE NO DK IS FO"), (r"\bDKK\b", "DK"), (r"\bSEK\b", "SE"),
    (r"\bNOK\b", "NO"), (r"\bISK\b", "IS"), (r"\blei\b|\bRON\b", "RO MD"), (r"лв\b", "BG"),
    (r"R\$", "BR"), (r"A\$|\bAUD\b", "AU"), (r"C\$|\bCAD\b", "CA NI"), (r"NZ\$", "NZ"),
    (r"HK\$", "HK"), (r"NT\$", "TW"), (r"S\$|\bSGD\b", "SG"), (r"US\$|\bUSD\b", "US EC SV KH"),
    (r"\bCHF\b|\bFr\.", "CH LI"), (r"円", "JP"), (r"元", "CN TW"), (r"[¥￥]", "JP CN"),
    (r"\bRM\b", "MY"), (r"\bRp\b", "ID"), (r"\bKSh\b|\bKES\b", "KE"), (r"\bTSh\b", "TZ"),
    (r"\bGH[₵¢]", "GH"), (r"\bAED\b|\bDhs\b", "AE MA"),
    (r"\bF?CFA\b", "SN CI CM ML BF BJ TG NE GA CG TD"),
    (r"S/\.?", "PE"), (r"₡", "CR"), (r"₲", "PY"), (r"\bQ\b", "GT"), (r"\bR\b", "ZA"),
    (r"\bden\b|\bденари?\b", "MK"), (r"\bRSD\b|\bдин\b|\bdin\b", "RS"), (r"\bkn\b", "HR"),
    (r"៛", "KH"), (r"₭", "LA"), (r"৳", "BD"), (r"₮", "MN"), (r"\$", DOLLAR),
)  # fmt: skip
"""Marks beside an amount, the more particular first, and where prices carry them."""

PLATES = (
    (r"[A-ZÄÖÜ]{1,3}[- ][A-Z]{1,2} ?\d{1,4}[EH]?", "DE", "German"),
    (r"[A-Z]{2}\d{2} ?[A-Z]{3}", "GB", "British"),
    (r"[A-Z]{2}[- ]\d{3}[- ][A-Z]{2}", "FR IT", "French or Italian"),
    (r"\d{4} ?[BCDFGHJKLMNPRSTVWXYZ]{3}", "ES", "Spanish"),
    (r"\d-[A-Z]{3}-\d{3}", "BE", "Belgian"),
    (r"\d{2}-[A-Z]{2,3}-\d{1,2}|[A-Z]{2}-\d{3}-[A-Z]|[A-Z]-\d{3}-[A-Z]{2}", "NL PT", "Dutch"),
    (r"[A-Z]{3} ?\d{2}[A-Z0-9]", "SE LT FI", "Swedish"),
    (r"[A-Z]{2} ?\d{2} ?\d{3}", "DK NO", "Danish or Norwegian"),
    (r"[A-Z]{2} ?\d{1,2} ?[A-Z]{1,2} ?\d{4}", "IN", "Indian"),
    (r"[A-Z]{3}\d[A-Z]\d{2}", "BR", "Brazilian"),
    (r"\d{2} ?[A-Z]{1,3} ?\d{2,4}", "TR", "Turkish"),
    (r"\d[A-Z]{3}\d{3}", "US", "Californian"),
)  # fmt: skip
"""Whole lines that look like number plates (national series since about 2000)."""

_DOMAIN = re.compile(r"(?:[\w-]+\.)+([^\W\d_]{2,12})(?![\w.]*\w@)(?=$|[\s/,;:)\]?]|\.(?:\s|$))")
_PHONE = re.compile(r"(?<![\d.,/])(?:\+|00)?\(?\d[\d ()./\-]{6,20}\d(?![\d])")
_POSTAL = re.compile(
    r"(?<![\w-])(?:(?P<letter>[A-Z]{1,3})[-–] ?)?(?P<code>\d{4} ?[A-Z]{2}\b|\d{3} \d{2}|"
    r"\d{2}-\d{3}|\d{4}-\d{3}|\d{5}-\d{3}|\d{6}|\d{4,5}|〒?\d{3}-\d{4})(?= +[A-ZÀ-ÞŁŚŽČ])"
)
_LETTERED = re.compile(r"\b(?:([A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2})|([A-Z]\d[A-Z] \d[A-Z]\d))\b")
_STATE_ZIP = re.compile(r"\b[A-Z]{2} \d{5}(?:-\d{4})?\b")
POSTAL_LETTERS = {"D": "DE", "A": "AT", "CH": "CH", "F": "FR", "I": "IT", "B": "BE", "L": "LU",
                  "NL": "NL", "DK": "DK", "S": "SE", "SE": "SE", "N": "NO", "NO": "NO",
                  "FI": "FI", "FIN": "FI", "PL": "PL", "CZ": "CZ", "SK": "SK", "H": "HU",
                  "HU": "HU", "SI": "SI", "HR": "HR", "E": "ES", "P": "PT", "GR": "GR",
                  "RO": "RO", "BG": "BG", "LT": "LT", "LV": "LV", "EE": "EE", "FL": "LI",
                  "DE": "DE", "AT": "AT", "BE": "BE", "ES": "ES", "IT": "IT"}  # fmt: skip


def format_clues(line: str) -> Iterator[Clue]:
    """Yield what the form of numbers and addresses in a line says about the country."""
    makers: tuple[Callable[[str], Iterable[Clue]], ...] = (
        _domains, _phones, _postal_codes, _plates, _prices,
    )  # fmt: skip
    for maker in makers:
        yield from maker(line)


def driving_clue(side: str) -> Clue:
    """Return the clue of traffic keeping `left` or `right`."""
    left = drives_left()
    codes = [code for code in countries() if (code in left) == (side == "left")]
    return _clue(f"traffic keeps {side}", "driving side", f"keeps {side}", codes, DRIVING_FLOOR)


def _clue(line: str, kind: str, why: str, codes: Iterable[str], floor: float) -> Clue:
    shares = dict.fromkeys(sorted(set(codes) & set(countries())), 1.0)
    return Clue(text=line[:300], kind=kind, why=why, countries=shares, floor=floor)


@functools.cache
def _by_domain() -> dict[str, str]:
    known = {str(facts["tld"])[1:]: code for code, facts in country_facts().items() if facts["tld"]}
    return {name: code for name, code in known.items() if name not in BORROWED_DOMAINS} | (
        GIVEN_DOMAINS
    )


def _domains(line: str) -> Iterator[Clue]:
    if "." not in line:
        return
    for match in _DOMAIN.finditer(line.casefold()):
        host, name = match.group(0), match.group(1)
        # 'z.o.o' and '12.de' are no addresses: a label of three letters or 'www' and '@' tell.
        is_address = "www." in host or "@" in line or re.search(r"[^\W\d_]{3,}\.", host)
        if (code := _by_domain().get(name)) and is_address:
            yield _clue(line, "top-level domain", f"address ends in .{name}", [code], DOMAIN_FLOOR)


def _phones(line: str) -> Iterator[Clue]:
    import phonenumbers

    for match in _PHONE.finditer(line):
        written = match.group(0)
        digits = re.sub(r"\D", "", written)
        if written.startswith(("+", "00")) and len(digits) >= 8:
            try:
                number = phonenumbers.parse("+" + digits.removeprefix("00"))
            except phonenumbers.NumberParseException:
                continue
            if phonenumbers.is_possible_number(number):
                region = phonenumbers.region_code_for_number(number)
                codes = [region] if region else list(_regions_of(number.country_code or 0))
                why = f"calling code +{number.country_code}"
                yield _clue(line, "calling code", why, codes, CALLING_CODE_FLOOR)
        elif len(digits) >= 9 and re.search(r"\d[ ()./-]+\d", written):
            codes = [code for code in countries() if _is_national_number(digits, code)]
            if 0 < len(codes) < len(countries()) / 3:
                why = "a national telephone number"
                yield _clue(line, "telephone number", why, codes, NATIONAL_NUMBER_FLOOR)


def _regions_of(calling_code: int) -> tuple[str, ...]:
    import phonenumbers

    return tuple(phonenumbers.region_codes_for_country_code(calling_code))


@functools.lru_cache(maxsize=8192)
def _is_national_number(digits: str, country: str) -> bool:
    import phonenumbers

    try:
        number = phonenumbers.parse(digits, country)
    except phonenumbers.NumberParseException:
        return False
    return phonenumbers.is_valid_number_for_region(number, country)


def _postal_codes(line: str) -> Iterator[Clue]:
    for british, canadian in _LETTERED.findall(line):
        code, written = ("GB", british) if british else ("CA", canadian)
        yield _clue(line, "postal code", f"{written!r} has the form of {code}", [code], 0.04)
    for match in _STATE_ZIP.finditer(line):
        yield _clue(line, "postal code", f"{match.group(0)!r}: state and ZIP", ["US"], 0.1)
    for match in _POSTAL.finditer(line):
        letter, code = match.group("letter"), match.group("code")
        if letter in POSTAL_LETTERS:
            named = [POSTAL_LETTERS[letter]]
            yield _clue(line, "postal code", f"{match.group(0)!r}: country letter", named, 0.04)
        elif not re.fullmatch(r"(?:19|20)\d\d", code):
            named = [c for c in countries() if _has_postal_form(c, code)]
            if named:
                floor = 0.6 if code.isdigit() else 0.2
                yield _clue(line, "postal code", f"{code!r} before a name", named, floor)


@functools.lru_cache(maxsize=8192)
def _has_postal_form(country: str, code: str) -> bool:
    pattern = str(country_facts()[country]["postalcoderegex"] or "")
    return bool(pattern) and re.fullmatch(pattern, code.removeprefix("〒")) is not None


def _plates(line: str) -> Iterator[Clue]:
    text = line.strip(" .·•|")
    for pattern, codes, whose in PLATES:
        if re.fullmatch(pattern, text):
            why = f"looks like a {whose} number plate"
            yield _clue(line, "number plate", why, codes.split(), PLATE_FLOOR)


def _prices(line: str) -> Iterator[Clue]:
    if not any(character.isdigit() for character in line):
        return
    for pattern, codes in PRICES:
        amount = rf"(?:(?:{pattern}) ?\d[\d.,]*)|(?:\d[\d.,]* ?(?:{pattern})(?!\w))"
        match = re.search(amount, line)
        if match:
            why = f"price {match.group(0)!r}"
            yield _clue(line, "currency", why, codes.split(), CURRENCY_FLOOR)
            return
