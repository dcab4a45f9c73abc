"""`graticule train`: align photos with places, and words, on one's own data."""

import functools
import json
import signal
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from cli.paths import ExistingPath
from encoders.photo_file import printable
from geo.errors import InputError

if TYPE_CHECKING:
    from encoders.backbones import Backbone
    from geo.geocoders import Geocoder
    from index_builder.train import TrainReport
    from index_builder.train_material import Options

SAME_SIGNAL_S = 2.0
"""A terminal and torchrun both pass Ctrl-C on: within this time it is one."""
SHOWN_REJECTS = 5


@click.command(epilog="Under torchrun: torchrun --nproc-per-node 2 -m cli.main train FAMILY ...")
@click.argument("family")
@click.option("--data", required=True, type=ExistingPath(), help="CSV, or folder of photos.")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Folder of the encoder."
)
@click.option(
    "--backbone",
    default="clip-vit-l-14",
    show_default=True,
    help="Frozen tower: a name, open_clip:NAME/TAG=FILE, or the folder of an encoder.",
)
@click.option("--weights", type=click.Path(path_type=Path), help="Where downloaded weights lie.")
@click.option("--features", type=click.Path(path_type=Path), help="Where cached features lie.")
@click.option("--positions", type=ExistingPath(), help="CSV of positions for a folder of photos.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option("--epochs", type=int, help="Published for the family by default, as are:")
@click.option("--batch", type=int, help="Photos a step, of all processes together.")
@click.option("--lr", type=float, help="Learning rate.")
@click.option("--weight-decay", type=float)
@click.option("--schedule", type=click.Choice(["step", "cosine", "constant"]))
@click.option("--gamma", type=float, help="Factor on the learning rate (step).")
@click.option("--step-epochs", type=int, help="Epochs between such factors.")
@click.option("--warmup-steps", type=int)
@click.option("--clip-norm", type=float, help="Largest norm of the gradient; 0: any.")
@click.option("--precision", type=click.Choice(["auto", "float32", "bfloat16"]))
@click.option("--checkpointing/--no-checkpointing", default=None, help="Less memory, more time.")
@click.option("--seed", type=int)
@click.option("--held-out", type=float, help="Share of photos that validate, 0 to 0.5.")
@click.option("--split", type=click.Choice(["random", "spatial"]), help="How they are chosen.")
@click.option("--max-steps", type=int, help="Stop there, the schedule being that of all epochs.")
@click.option("--heads", default="{}", help="JSON of the heads' sizes and ablations.")
@click.option("--every-steps", default=1000, show_default=True, type=click.IntRange(1))
@click.option("--every-s", default=300.0, show_default=True, type=click.FloatRange(0))
@click.option("--tensorboard/--no-tensorboard", default=True, help="Write logs for TensorBoard.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON and nothing else.")
def train(family: str, data: Path, out: Path, backbone: str, heads: str, **given: Any) -> None:
    """Train FAMILY (geoclip, g3, transgeoclip, dualgeo, cellcodes) on geotagged photos.

    The CSV has the columns image, latitude, longitude; optional are caption, or city, state and
    country; segmentation (PNG of class numbers) and aerial (a tile). Without names of places,
    captions are made from the offline gazetteer.

    Can be stopped at any moment, even killed, and run again: it goes on with the same numbers.
    Use what comes out by its folder wherever an encoder is asked for.
    """
    from index_builder.train_settings import train_settings

    taken = ("weights", "features", "positions", "device", "every_steps", "every_s")
    own = {name: given.pop(name) for name in (*taken, "tensorboard", "as_json")}
    changes = {name: value for name, value in given.items() if value is not None}
    settings = train_settings(family, heads=_json(heads), **changes)

    from agent.settings import load_settings
    from index_builder.train import train_family

    home = load_settings().home
    load = functools.partial(
        _load_backbone, backbone, own["weights"] or home / "weights", own["device"]
    )
    stop = _Stop()
    try:
        with _Shown(quiet=own["as_json"]) as shown:
            options = _options(own, home, shown, stop)
            report = train_family(settings, data, out, load, options)
    finally:
        stop.forget()
    if report.first:
        _print(report, as_json=own["as_json"])
    if not report.finished and stop.asked:
        raise click.Abort


def _json(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise InputError(
            f"--heads {printable(text, 60)!r} is not a JSON object; give one like "
            "'{\"width\": 512}'"
        )
    return found


def _load_backbone(name: str, weights: Path, device: str) -> "Backbone":
    if (Path(name) / "card.json").is_file():
        from encoders.loading import load_saved

        return load_saved(Path(name), weights=weights, device=device).backbone
    from encoders.backbones import load_backbone

    return load_backbone(name, folder=weights, device=device)


def _options(own: dict[str, Any], home: Path, shown: "_Shown", stop: "_Stop") -> "Options":
    from index_builder.train_loop import Pace
    from index_builder.train_material import Options

    return Options(
        features=own["features"] or home / "features",
        device=own["device"],
        pace=Pace(own["every_steps"], own["every_s"]),
        geocoder=_gazetteer,
        positions=own["positions"],
        tensorboard=own["tensorboard"],
        progress=shown.tell,
        asked_to_stop=stop,
    )


def _gazetteer() -> "Geocoder":
    from cli.progress import prepare_gazetteer
    from geo.gazetteer import Gazetteer

    prepare_gazetteer(quiet=True)
    return Gazetteer.open()


class _Shown:
    """A progress bar for each stage of a training."""

    def __init__(self, *, quiet: bool) -> None:
        from cli.bars import progress_bar

        self.bar = progress_bar(quiet=quiet)
        self.tasks: dict[str, Any] = {}

    def __enter__(self) -> "_Shown":
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def tell(self, progress: Any) -> None:
        """Show how far a stage is."""
        if progress.stage not in self.tasks:
            self.tasks[progress.stage] = self.bar.add_task(progress.stage, total=None, rate="")
        self.bar.update(
            self.tasks[progress.stage],
            completed=progress.done,
            total=progress.total,
            rate=progress.note or f"{progress.per_s:.1f} a second",
        )


class _Stop:
    """Ctrl-C and SIGTERM as a question that training answers after a step.

    Signals are taken over when training first asks: what comes before is cut off at once, which
    costs it seconds. Asked again, the process ends as it did before.
    """

    def __init__(self) -> None:
        self.asked = 0.0
        self._former: dict[int, Callable[[int, FrameType | None], Any] | int | None] = {}

    def __call__(self) -> bool:
        if not self._former:
            for number in (signal.SIGINT, signal.SIGTERM):
                self._former[number] = signal.signal(number, self._ask)
        return bool(self.asked)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.asked and now - self.asked > SAME_SIGNAL_S:
            former = self._former[number]
            self.forget()
            if callable(former):
                former(number, frame)
        self.asked = self.asked or now

    def forget(self) -> None:
        """Give signals back."""
        for number, former in self._former.items():
            signal.signal(number, former)
        self._former = {}


def _print(report: "TrainReport", *, as_json: bool) -> None:
    if as_json:
        facts = asdict(report) | {"path": printable(str(report.path), 4096)}
        click.echo(json.dumps(facts, indent=2))
        return
    click.echo(f"{report.photos} photos, {len(report.rejected)} rejected", err=True)
    for rejected in report.rejected[:SHOWN_REJECTS]:
        click.echo(f"  rejected {rejected.name}: {rejected.reason}", err=True)
    if len(report.rejected) > SHOWN_REJECTS:
        click.echo(f"  ... all of them in {report.path / 'rejects.jsonl'}", err=True)
    for when, numbers in (("before", report.before), ("after", report.after)):
        if numbers:
            click.echo(
                f"{when} training: own location nearest for "
                f"{100 * float(numbers['own_location_nearest']):.1f} % of {numbers['photos']} "
                f"photos held out; median error {float(numbers['median_km']):,.0f} km among "
                f"{numbers['candidates']} known locations"
            )
    state = "done" if report.finished else "stopped, a checkpoint is written"
    click.echo(f"{report.path}: {report.steps} of {report.total} steps, {state}")
