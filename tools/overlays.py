"""Words burnt into a frame: watermarks, apps, camera stamps, dates. They say nothing of the place.

One list for every tool that reads text. `Google` is an alternate name of Topeka in GeoNames,
`Canon` and `Martin` are settlements too: without this list a watermark becomes a location.
"""

import re
from functools import cache

from geo.names import fold

_SERVICES = """
    google mapillary kartaview openstreetcam shutterstock istock istockphoto gettyimages
    alamy dreamstime depositphotos adobestock bigstock bigstockphoto 123rf freepik pexels
    unsplash pixabay flickr wikimedia wikipedia instagram facebook tiktok snapchat pinterest
    youtube tripadvisor panoramio yandex baidu naver kakao mapbox openstreetmap geograph
    streetview fotolia stockphoto vecteezy pond5 imgur reddit twitter whatsapp wechat weibo
    xiaohongshu picsart lightroom photoshop timemark
"""
SERVICES = frozenset(_SERVICES.split())
"""Names that mark a frame as someone's product, whatever stands beside them."""

_MAKERS = """
    canon nikon sony fujifilm fuji olympus panasonic lumix leica pentax ricoh kodak
    hasselblad sigma tamron minolta casio gopro dji insta360 samsung galaxy iphone apple
    huawei xiaomi redmi poco oppo vivo oneplus realme honor motorola nokia htc zeiss pixel
    garmin viofo nextbase blackvue thinkware
"""
MAKERS = frozenset(_MAKERS.split())
"""Makers of cameras and telephones: an overlay when little else is said."""

_FILLERS = """
    image images photo photos photograph photography picture imagery map maps data capture
    captured date street view earth stock getty editorial premium free preview sample
    watermark copyright all rights reserved by on with at the and inc llc ltd pro plus max
    mini ultra lite note mark edition shot taken camera cam dual triple quad ai lens leica
    eos mp hdr zoom hero com net org www http https terms report problem a privacy creative
    commons cc sa am pm gmt utc est pst cet kmh mph km h fps gps lat lon january february
    march april may june july august september october november december jan feb mar apr jun
    jul aug sep sept oct nov dec mon tue wed thu fri sat sun
"""
FILLERS = frozenset(_FILLERS.split())
"""Words that keep an overlay company, and alone say nothing."""

_PHRASES = (
    "street view",
    "google earth",
    "google maps",
    "adobe stock",
    "getty images",
    "all rights reserved",
    "shot on",
    "report a problem",
    "creative commons",
    "dash cam",
)
_DATE = r"""
      (?:19|20)\d\d[-/.: ]\d{1,2}[-/.: ]\d{1,2}        # 2014-05-03
    | \d{1,2}[-/.]\d{1,2}[-/.](?:(?:19|20)\d\d|\d\d)   # 03.05.2014
    | '\d\d\s\d{1,2}\s\d{1,2}                          # '98 7 14, on film
    | \d{1,3}\s?(?:km/h|kmh|mph)                       # a dash camera's speed
"""
_TIME = r"\d{1,2}:\d\d(?::\d\d)?"
_STAMP = re.compile(rf"(?<!\d)(?:{_DATE} | {_TIME})(?!\d)", re.VERBOSE | re.IGNORECASE)
_HOURS = re.compile(rf"{_TIME}\s*[-–—]\s*{_TIME}")
_MARK = re.compile(r"[©®™]|\(c\)", re.IGNORECASE)


@cache
def is_overlay(text: str) -> bool:
    """Say whether a string read in a photo was put there by an app, agency or camera.

    It is one where it names a service of `SERVICES` (also with one letter misread), carries a
    copyright sign, or consists of makers, filler words, date and time stamps alone.
    """
    if _HOURS.search(text):  # opening hours are painted, not burnt in
        return False
    rest = _STAMP.sub(" ", text)
    words = [word for word in fold(rest).split() if not word.isdecimal()]
    stamped = rest != text
    if _MARK.search(text) or any(phrase in " ".join(words) for phrase in _PHRASES):
        return True
    if any(_names_service(word) for word in words):
        return True
    if stamped and not words:
        return True
    models = [word for word in words if not any(character.isdigit() for character in word)]
    known = all(word in MAKERS or word in FILLERS for word in models)
    return bool(models) and known and (stamped or any(word in MAKERS for word in models))


def _names_service(word: str) -> bool:
    """Say whether a folded word is a service's name; from six letters on one may be misread."""
    from rapidfuzz.distance import OSA

    if word in SERVICES:
        return True
    long_enough = len(word) >= 6
    return long_enough and any(
        len(name) >= 6 and OSA.distance(word, name, score_cutoff=1) <= 1 for name in SERVICES
    )
