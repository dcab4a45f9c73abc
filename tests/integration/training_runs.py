"""`graticule train` as a process of its own, to be killed and to be one of several."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from encoders.saved import save_encoder
from tests.unit.encoder_samples import tiny_backbone, tiny_heads
from tests.unit.training_samples import SIZES, write_photos

ROOT = Path(__file__).parents[2]


class Workplace:
    """Photos, and a tiny tower to train on."""

    def __init__(self, folder: Path, photos: int = 40) -> None:
        self.folder = folder
        self.table = write_photos(folder / "photos", photos)
        self.tower = folder / "tower"
        save_encoder(self.tower, tiny_heads("g3"), tiny_backbone())

    def command(self, family: str, out: str, *options: str, **heads: Any) -> list[str]:
        """Return the arguments of a short training."""
        sizes = json.dumps(SIZES[family] | heads)
        place = self.folder
        return [
            *("-m", "cli.main", "train", family, "--data", str(self.table), "--heads", sizes),
            *("--out", str(place / out), "--backbone", str(self.tower), "--batch", "8"),
            *("--features", str(place / "features"), "--lr", "1e-3", "--no-tensorboard", *options),
        ]

    def start(self, arguments: list[str], processes: int = 1) -> "subprocess.Popen[str]":
        """Start it; several processes through torchrun over loopback."""
        launch = [sys.executable]
        if processes > 1:
            launch += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
            launch.append(str(processes))
        variables = os.environ | {
            "OMP_NUM_THREADS": "1",
            "GRATICULE_HOME": str(self.folder / "home"),
            "PYTHONWARNINGS": "default",
        }
        return subprocess.Popen(
            launch + arguments,
            cwd=ROOT,
            env=variables,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def run(self, arguments: list[str], processes: int = 1) -> str:
        """Run it to its end and return what it printed."""
        process = self.start(arguments, processes)
        printed, complaints = process.communicate(timeout=240)
        assert process.returncode == 0, complaints
        return printed

    def log(self, out: str) -> bytes:
        """Return the loss log."""
        return (self.folder / out / "training" / "loss.jsonl").read_bytes()

    def losses(self, out: str) -> list[float]:
        """Return the loss of each step."""
        return [json.loads(line)["loss"] for line in self.log(out).splitlines()]

    def step(self, out: str) -> int:
        """Return the step of the checkpoint, 0 without."""
        try:
            text = (self.folder / out / "training" / "checkpoint.json").read_text()
        except FileNotFoundError:
            return 0
        return int(json.loads(text)["step"])

    def weights(self, out: str) -> dict[str, np.ndarray]:
        """Return the weights of the finished encoder."""
        from safetensors.numpy import load_file

        return load_file(self.folder / out / "heads.safetensors")
