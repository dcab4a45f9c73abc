"""Which tools a run may call, made from its workbench and settings."""

from langchain_core.tools import BaseTool

from agent.settings import Settings
from tools.workbench import Workbench


def make_tools(
    bench: Workbench, settings: Settings, *, analyst: bool = False
) -> tuple[BaseTool, ...]:
    """Make the tools of a run: those that search, only where there is something to search.

    Args:
        bench: what they may touch.
        settings: which servers they may ask.
        analyst: whether somebody is there to be asked.

    Raises:
        ConfigError: a network geocoder is chosen without a URL.
    """
    from geo.geocoders import network_geocoder
    from geo.overpass import Overpass
    from tools.ask import make_ask_analyst
    from tools.cells import make_search_cells
    from tools.clues import make_look_up_clue
    from tools.commit import make_commit_location
    from tools.compare import make_compare_photos
    from tools.dissimilar import make_search_dissimilar_photos
    from tools.geocode import make_find_place, make_reverse_geocode
    from tools.hint import make_use_hint
    from tools.measure import make_measure
    from tools.photos import make_read_metadata
    from tools.places import make_search_places
    from tools.read_text import make_read_text
    from tools.related import make_find_related_places
    from tools.rerank import make_cluster_candidates
    from tools.retrieve import make_search_similar_photos
    from tools.sun import make_check_sun
    from tools.verify import make_verify_locations
    from tools.zoom import make_zoom

    geocoder = network_geocoder(settings.geocoder, settings.geocoder_url, settings.geocoder_contact)
    makers = [
        make_read_metadata, make_read_text, make_look_up_clue, make_cluster_candidates,
        make_compare_photos, make_zoom, make_use_hint, make_check_sun, make_measure,
    ]  # fmt: skip
    kinds = {gallery.manifest.kind for gallery in bench.galleries}
    if kinds - {"cells"}:
        makers += [make_search_similar_photos, make_search_dissimilar_photos]
    if "cells" in kinds:
        makers.append(make_search_cells)
    optional = [make_ask_analyst(bench)] if analyst else []
    if settings.overpass_url:
        overpass = Overpass(settings.overpass_url, contact=settings.geocoder_contact)
        optional.append(make_find_related_places(bench, overpass))
    if bench.open_encoder:
        makers += [make_search_places, make_verify_locations]
    return (
        *(make(bench) for make in makers),
        *optional,
        make_find_place(bench, geocoder),
        make_reverse_geocode(bench, geocoder),
        make_commit_location(),
    )
