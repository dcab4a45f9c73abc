"""KML of a case, OGC 2.2: what GeoJSON has, with styles, for globes.

Programs show a description as HTML, so foreign text in one is escaped twice: as HTML, then as XML.
A balloon shows the description alone, never a name. No icon is fetched from anywhere.
"""

import html
import re
from collections.abc import Iterable, Mapping
from xml.etree import ElementTree as ET

from pydantic import JsonValue

from agent.case import Case
from agent.export_geojson import Feature, features_of
from agent.report_format import visible

KML = "http://www.opengis.net/kml/2.2"
STYLES = {
    "answer": ("ff2c23b4", 1.3), "kept": ("ff78600b", 0.8), "dropped": ("ff807668", 0.5),
    "alternative": ("ff0c41c2", 0.8), "claimed_position": ("ff000000", 0.9),
}  # fmt: skip
"""Of points: colour (alpha, blue, green, red) and scale."""
AREAS = {
    "circle": ("ff2c23b4", "182c23b4"), "inside": ("ff78600b", "2078600b"),
    "outside": ("ff807668", "00807668"),
}  # fmt: skip
"""Of areas: colours of line and fill."""
FOLDERS = {
    "answer": "Answer", "circle": "Circles that hold 50, 80 and 95 % of belief",
    "candidate": "Candidates", "alternative": "Alternatives",
    "claimed_position": "Position claimed by the file, not inferred",
    "drawn_region": "Drawn regions",
}  # fmt: skip
_NO_XML = re.compile("[\ufffe\uffff]")


def kml_of(case: Case) -> bytes:
    """Return the latest answer of a case as KML, UTF-8."""
    root = ET.Element("kml", {"xmlns": KML})
    document = ET.SubElement(root, "Document")
    features = list(features_of(case))
    _text(document, "name", f"Graticule: {_properties(features[0])['headline']}")
    _text(document, "description", _html([case.answer.caution]))
    _styles(document)
    for role, title in FOLDERS.items():
        some = [one for one in features if _properties(one)["role"] == role and one["geometry"]]
        if some:
            _folder(document, title, some)
    ET.indent(root, " ")
    written: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def _folder(document: ET.Element, title: str, features: Iterable[Feature]) -> None:
    folder = ET.SubElement(document, "Folder")
    _text(folder, "name", title)
    for feature in features:
        properties = _properties(feature)
        mark = ET.SubElement(folder, "Placemark")
        _text(mark, "name", _name(properties))
        _text(mark, "description", _html(_lines(properties)))
        _text(mark, "styleUrl", f"#{_style(properties)}")
        _data(mark, properties)
        _geometry(mark, feature["geometry"])


def _name(properties: Mapping[str, JsonValue]) -> str:
    role = properties["role"]
    if role == "answer":
        return str(properties["headline"])
    if role == "circle":
        return f"{properties['belief_percent']} % of belief"
    if role == "candidate":
        return f"{properties['number']} {properties['label'] or properties['reference']}".strip()
    if role == "drawn_region":
        return "taken in here" if properties["inside"] else "not taken in here"
    return str(properties.get("label") or "Claimed by the file, not inferred")


def _style(properties: Mapping[str, JsonValue]) -> str:
    role = str(properties["role"])
    if role == "candidate":
        return "kept" if properties["kept"] else "dropped"
    if role == "drawn_region":
        return "inside" if properties["inside"] else "outside"
    return role


def _lines(properties: Mapping[str, JsonValue]) -> list[str]:
    shown = ("status", "explanation", "caution", "kept", "reason", "kind", "source", "score",
             "radius_km", "belief", "used", "note", "revision")  # fmt: skip
    return [f"{name.replace('_', ' ')}: {properties[name]}" for name in shown if name in properties]


def _html(lines: Iterable[str]) -> str:
    """Return lines as HTML that shows them as they are; `$[...]`, which stands for data, too."""
    return "<br/>".join(html.escape(visible(line)).replace("$[", "&#36;[") for line in lines)


def _data(mark: ET.Element, properties: Mapping[str, JsonValue]) -> None:
    extended = ET.SubElement(mark, "ExtendedData")
    for name, value in properties.items():
        if isinstance(value, str | int | float) and value != "":
            data = ET.SubElement(extended, "Data", {"name": name})
            _text(data, "value", str(value).lower() if isinstance(value, bool) else str(value))


def _geometry(mark: ET.Element, geometry: JsonValue) -> None:
    assert isinstance(geometry, dict)
    coordinates = geometry["coordinates"]
    assert isinstance(coordinates, list)
    if geometry["type"] == "Point":
        point = ET.SubElement(mark, "Point")
        _text(point, "coordinates", _numbers([coordinates]))
    elif geometry["type"] == "Polygon":
        _polygon(mark, coordinates)
    else:
        several = ET.SubElement(mark, "MultiGeometry")
        for one in coordinates:
            _polygon(several, one)


def _polygon(parent: ET.Element, rings: JsonValue) -> None:
    polygon = ET.SubElement(parent, "Polygon")
    _text(polygon, "tessellate", "1")
    assert isinstance(rings, list)
    for number, ring in enumerate(rings):
        edge = ET.SubElement(polygon, "innerBoundaryIs" if number else "outerBoundaryIs")
        _text(ET.SubElement(edge, "LinearRing"), "coordinates", _numbers(ring))


def _numbers(points: JsonValue) -> str:
    assert isinstance(points, list)
    pairs = [(one[0], one[1]) for one in points if isinstance(one, list)]
    return " ".join(f"{_plain(x)},{_plain(y)}" for x, y in pairs)


def _plain(degrees: JsonValue) -> str:
    """Return degrees without an exponent, which some readers do not know."""
    assert isinstance(degrees, int | float)
    return f"{degrees:.7f}".rstrip("0").rstrip(".")


def _styles(document: ET.Element) -> None:
    for name, (colour, scale) in STYLES.items():
        style = ET.SubElement(document, "Style", {"id": name})
        icon = ET.SubElement(style, "IconStyle")
        _text(icon, "color", colour)
        _text(icon, "scale", str(scale))
        _balloon(style)
    for name, (line, fill) in AREAS.items():
        style = ET.SubElement(document, "Style", {"id": name})
        edge = ET.SubElement(style, "LineStyle")
        _text(edge, "color", line)
        _text(edge, "width", "2")
        _text(ET.SubElement(style, "PolyStyle"), "color", fill)
        _balloon(style)


def _balloon(style: ET.Element) -> None:
    _text(ET.SubElement(style, "BalloonStyle"), "text", "$[description]")


def _text(parent: ET.Element, tag: str, text: str) -> None:
    spelled = _NO_XML.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", visible(text))
    ET.SubElement(parent, tag).text = spelled


def _properties(feature: Feature) -> Mapping[str, JsonValue]:
    properties = feature["properties"]
    assert isinstance(properties, dict)
    return properties
