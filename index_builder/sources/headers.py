"""The columns of published data sets of geotagged photos, and which set a header belongs to.

MP-16 and its kin: `IMG_ID, AUTHOR, LAT, LON, ...` as the GeoEstimation project publishes them
(github.com/TIBHannover/GeoEstimation) and MP16-Pro adds place names (G3, arXiv 2405.14702).
OSV-5M: github.com/gastruc/osv5m. YFCC100M: Thomee et al., Communications of the ACM 59(2), 2016.
"""

import csv

from index_builder.positions import COLUMNS, FILE_COLUMNS, POSITION_COLUMNS
from index_builder.rows import Columns

_POSITION = ("latitude", "longitude")
TABLE = COLUMNS
MP16 = Columns(
    {
        "file": ("img_id", "img_file"),
        **POSITION_COLUMNS,
        # Its `region` is a part of the country in the words of its geocoder, often empty.
        "region": ("state", "region"),
        "city": ("city", "town", "village", "county"),
    },
    required=("file", *_POSITION),
)
OSV5M = Columns(
    {
        "file": ("id",),
        **POSITION_COLUMNS,
        "author": ("creator_username", "creator_id"),
        "date": ("captured_at",),
        "country": ("country", "unique_country"),
    },
    required=("file", *_POSITION),
)
COORDINATES = Columns(
    {"name": ("name", "place", "title", "id"), **POSITION_COLUMNS}, required=_POSITION
)

# From the end: the published file has 23 columns, copies with the row number and the hash of
# the photo's address before and after the identifier have 24 or 25.
_YFCC_TAIL = (
    *("author", "nickname", "date", "uploaded", "device", "title", "description", "tags"),
    *("machine_tags", "longitude", "latitude", "level", "page", "address", "licence"),
    *("licence_url", "server", "farm", "secret", "secret_original", "extension", "video"),
)
_YFCC_HEADS = {23: ("id",), 24: ("id", "hash"), 25: ("row", "id", "hash")}
YFCC_WIDTHS = tuple(_YFCC_HEADS)
_YFCC_WANTED = (
    *("id", "hash", "author", "date", "longitude", "latitude", "level"),
    *("licence", "licence_url", "extension", "video"),
)


def yfcc_columns(line: str) -> Columns | None:
    """Return the columns of a YFCC100M file by its first line; None where it is none."""
    cells = line.rstrip("\r\n").split("\t")
    if len(cells) not in _YFCC_HEADS or cells[-1] not in ("0", "1"):
        return None
    head = _YFCC_HEADS[len(cells)]
    if len(cells) == 24 and cells[1].isdecimal():
        head = ("row", "id")
    header = (*head, *_YFCC_TAIL)
    if not cells[header.index("id")].isdecimal():
        return None
    return Columns({name: (name,) for name in _YFCC_WANTED}, header=header)


def table_format(line: str) -> str:
    """Return the format of a table by its first line; "" where it is none of ours."""
    if yfcc_columns(line):
        return "yfcc"
    separator = max(",;\t", key=line.count)
    try:
        header = {name.strip().lower() for name in next(csv.reader([line], delimiter=separator))}
    except (csv.Error, StopIteration):
        return ""
    if not all(header & set(POSITION_COLUMNS[column]) for column in _POSITION):
        return ""
    if "img_id" in header and {"lat", "lon"} <= header:
        return "mp16"
    if is_osv5m(header):
        return "osv5m"
    return "table" if header & set(FILE_COLUMNS) else "coordinates"


def is_osv5m(header: set[str]) -> bool:
    """Say whether a header (lower case) is that of OSV-5M, whole or without its extras."""
    own = {"sequence", "captured_at", "creator_username", "sub-region", "thumb_original_url"}
    own |= {"lon_bin", "lat_bin", "unique_country", "drive_side", "dist_sea"}
    return {"id", *_POSITION} <= header and len(header & own) >= 2
