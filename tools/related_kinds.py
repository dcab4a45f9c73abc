"""Names for what photos show, and the tags by which OpenStreetMap knows it.

Tags as the OpenStreetMap wiki's "Map features" documents them.
"""

from typing import Literal, get_args

from geo.overpass import Tags

Kind = Literal[
    "airport", "bridge", "bus_station", "cable_car", "castle", "cemetery", "chimney", "church",
    "communications_tower", "dam", "ferry_terminal", "fire_station", "fountain", "fuel_station",
    "hospital", "level_crossing", "lighthouse", "memorial", "mosque", "peak", "pier", "power_tower",
    "railway_bridge", "railway_station", "roundabout", "school", "shinto_shrine", "silo", "stadium",
    "supermarket", "synagogue", "temple_buddhist", "temple_hindu", "toll_booth", "town_hall",
    "traffic_signals", "tram_stop", "water_tower", "waterfall", "windmill",
    "wind_turbine",
]  # fmt: skip

_WORSHIP = ("amenity", "place_of_worship")
TAGS: dict[str, Tags] = {
    "airport": (("aeroway", "aerodrome"),),
    "bridge": (("man_made", "bridge"),),
    "bus_station": (("amenity", "bus_station"),),
    "cable_car": (("aerialway", "cable_car"),),
    "castle": (("historic", "castle"),),
    "cemetery": (("landuse", "cemetery"),),
    "chimney": (("man_made", "chimney"),),
    "church": (_WORSHIP, ("religion", "christian")),
    "communications_tower": (("man_made", "communications_tower"),),
    "dam": (("waterway", "dam"),),
    "ferry_terminal": (("amenity", "ferry_terminal"),),
    "fire_station": (("amenity", "fire_station"),),
    "fountain": (("amenity", "fountain"),),
    "fuel_station": (("amenity", "fuel"),),
    "hospital": (("amenity", "hospital"),),
    "level_crossing": (("railway", "level_crossing"),),
    "lighthouse": (("man_made", "lighthouse"),),
    "memorial": (("historic", "memorial"),),
    "mosque": (_WORSHIP, ("religion", "muslim")),
    "peak": (("natural", "peak"),),
    "pier": (("man_made", "pier"),),
    "power_tower": (("power", "tower"),),
    "railway_bridge": (("railway", "rail"), ("bridge", "yes")),
    "railway_station": (("railway", "station"),),
    "roundabout": (("junction", "roundabout"),),
    "school": (("amenity", "school"),),
    "shinto_shrine": (_WORSHIP, ("religion", "shinto")),
    "silo": (("man_made", "silo"),),
    "stadium": (("leisure", "stadium"),),
    "supermarket": (("shop", "supermarket"),),
    "synagogue": (_WORSHIP, ("religion", "jewish")),
    "temple_buddhist": (_WORSHIP, ("religion", "buddhist")),
    "temple_hindu": (_WORSHIP, ("religion", "hindu")),
    "toll_booth": (("barrier", "toll_booth"),),
    "town_hall": (("amenity", "townhall"),),
    "traffic_signals": (("highway", "traffic_signals"),),
    "tram_stop": (("railway", "tram_stop"),),
    "water_tower": (("man_made", "water_tower"),),
    "waterfall": (("waterway", "waterfall"),),
    "windmill": (("man_made", "windmill"),),
    "wind_turbine": (("power", "generator"), ("generator:source", "wind")),
}

KINDS: tuple[str, ...] = get_args(Kind)
