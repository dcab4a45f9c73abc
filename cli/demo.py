"""`graticule demo`: the main job on a fresh machine, with a truth to compare the answer with."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import click
from rich.console import Console

from cli.paths import ExistingPath
from geo.errors import InputError


@click.command()
@click.option("--photos", type=ExistingPath(), help="Your own geotagged photos instead.")
@click.option("--work", type=click.Path(path_type=Path), help="Folder for galleries and reports.")
def demo(photos: Path | None, work: Path | None) -> None:
    """Build a small gallery, locate photos whose truth is known, say how far off the answers are.

    Without --photos the scenes are drawn by Graticule itself; with it, the position of one of
    your photos is hidden and found again.
    """
    from agent.settings import load_settings

    work = (work or load_settings().home / "demo").absolute()
    console = Console(highlight=False)
    with _working_folder(work):
        if photos is None:
            _rendered(work, console)
        else:
            _own(photos, work, console)


@contextlib.contextmanager
def _working_folder(work: Path) -> Iterator[None]:
    """Make `work`; of what was made for it, leave nothing empty behind where the work fails."""
    try:
        made = [folder for folder in (work, *work.parents) if not folder.exists()]
        work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot make the folder {str(work)!r} ({error.strerror}); give --work another one"
        ) from None
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):  # it holds something by now
            for folder in made:
                folder.rmdir()
        raise


def _rendered(work: Path, console: Console) -> None:
    """Locate a known corner, a corner that is only readable, and open land."""
    from cli.progress import build_with_progress
    from evaluation.demo import prepare_world
    from evaluation.world import WORLD_VERSION
    from index_builder.manifest import FORMAT_VERSION

    with console.status("Drawing a small world ..."):
        world = prepare_world(work / "world")
    console.print(
        f"A world drawn by Graticule: {len(world.gallery)} photos with positions, "
        f"{len(world.queries)} without, in {world.folder}"
    )
    known, *_, unseen, open_land = world.queries
    stories = {
        "1. A corner that the gallery has seen from elsewhere": known,
        "2. A corner that it has never seen, with readable signs": unseen,
        "3. Open land: the honest answer is that it cannot tell": open_land,
    }
    shots = [
        (title, world.path(shot), (shot.latitude, shot.longitude))
        for title, shot in stories.items()
    ]
    # One of an older format beside it is left alone: it cannot grow.
    gallery = work / f"gallery-{WORLD_VERSION}-{FORMAT_VERSION}"
    build_with_progress(world.gallery_folder, gallery)
    _tell(gallery, work, shots, console)


def _own(photos: Path, work: Path, console: Console) -> None:
    """Hide the position of one of the user's photos and find it again."""
    from cli.progress import build_with_progress
    from evaluation.demo import split_user_photos

    work = work / "own"
    with console.status("Reading positions ..."):
        split = split_user_photos(photos, work)
    console.print(
        f"Hid the position of {split.original.name}; the nearest of {split.photos} other photos "
        f"was taken {split.nearest_km:.2f} km away. {len(split.unusable)} files cannot be used.",
        markup=False,
    )
    truth = (split.truth.latitude, split.truth.longitude)
    shots = [("The photo without its position", split.query_path, truth)]
    # Anew each time: a former run's gallery may hold the photo that is hidden now.
    gallery = work / "gallery"
    build_with_progress(split.gallery_folder, gallery, fresh=True)
    _tell(gallery, work, shots, console)


def _tell(
    gallery: Path,
    work: Path,
    shots: list[tuple[str, Path, tuple[float, float]]],
    console: Console,
) -> None:
    """Locate each photo, compare with the truth, name the reports."""
    from agent.geolocator import Geolocator
    from cli.progress import prepare_gazetteer
    from cli.run import locate_with_output

    prepare_gazetteer()
    with Geolocator([gallery], encoder=None) as geolocator:
        with console.status("Loading models ..."):
            geolocator.warm()
        for number, (title, photo, truth) in enumerate(shots, start=1):
            console.rule(title)
            report = work / f"report-{number}.html"
            answer = locate_with_output(
                geolocator, photo, trace=work / f"trace-{number}.jsonl", report=report
            )
            console.print(f"[bold]{_compared(answer.latitude, answer.longitude, truth)}[/]")
    console.print("Open a report in a browser to see the maps, the matched pair and every step.")


def _compared(latitude: float | None, longitude: float | None, truth: tuple[float, float]) -> str:
    """Say how far the answer is from the truth."""
    from agent.report_format import distance
    from geo.sphere import distance_km

    if latitude is None or longitude is None:
        return f"Truth: {truth[0]:.4f}, {truth[1]:.4f}. No coordinate was given."
    away = float(distance_km(latitude, longitude, *truth))
    return f"Truth: {truth[0]:.4f}, {truth[1]:.4f}. Error: {distance(away)} ({away:.3f} km)."
