import subprocess
import sys
from pathlib import Path

import pytest
import torch

from encoders import torch_setup
from encoders.torch_setup import choose_device, choose_precision, need, prepare_torchvision
from geo.errors import InputError, UnavailableError


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def give_gpus(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


@pytest.mark.parametrize(
    "name",
    ["gpu", "", "CUDA", "cuda:", "cuda:-1", "cuda:x", "cuda:1:2", "cpu:0", "auto:1", "cuda:²"],
)
def test_a_device_of_another_name_is_refused_with_the_names_there_are(name: str) -> None:
    with pytest.raises(InputError, match="there is: auto, cpu, cuda, cuda:N") as caught:
        choose_device(name)
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:3"])
def test_a_gpu_that_is_not_there_is_named_with_the_remedy(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_gpus(monkeypatch, 0)
    with pytest.raises(UnavailableError, match=rf"device '{name}' .* 0 CUDA GPUs .*--device cpu"):
        choose_device(name)


def test_auto_takes_the_first_gpu_or_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    give_gpus(monkeypatch, 2)
    assert choose_device("auto") == choose_device("cuda") == torch.device("cuda", 0)
    assert choose_device("cuda:1") == torch.device("cuda", 1)
    assert choose_device("cpu") == torch.device("cpu")
    with pytest.raises(UnavailableError, match="which has 2 CUDA GPUs"):
        choose_device("cuda:2")
    give_gpus(monkeypatch, 0)
    assert choose_device("auto") == torch.device("cpu")


def test_bfloat16_is_for_gpus_that_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu, gpu = torch.device("cpu"), torch.device("cuda", 0)
    assert choose_precision(cpu) == torch.float32
    assert choose_precision(cpu, "bfloat16") == torch.bfloat16
    for has, wanted in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda has=has, **_: has)
        assert choose_precision(gpu) == wanted
    assert choose_precision(gpu, "float32") == torch.float32
    with pytest.raises(InputError, match="unknown precision 'fp8'; there is: auto, float32"):
        choose_precision(cpu, "fp8")  # type: ignore[arg-type]


def test_a_missing_package_is_named_with_the_command_that_brings_it() -> None:
    with pytest.raises(UnavailableError, match=r"'no_such_tower'.*pip install 'graticule\[enc"):
        need("no_such_tower")


def test_without_torch_the_answer_is_one_line() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from encoders.torch_setup import choose_device\n"
        "from geo.errors import UnavailableError\n"
        "try: choose_device('cpu')\n"
        "except UnavailableError as error: print(error)\n"
    )
    assert run(code) == (
        "encoders need the package 'torch', which cannot be imported; run: "
        "pip install 'graticule[encoders]'"
    )


def test_open_clip_is_imported_without_a_warning_and_torchvision_works() -> None:
    code = (
        "import sys, warnings\n"
        "from encoders.torch_setup import need, prepare_torchvision\n"
        "assert 'torch' not in sys.modules\n"
        "first = prepare_torchvision()\n"
        "need('open_clip')\n"
        "assert prepare_torchvision() is first\n"
        "import torch, torchvision\n"
        "assert not any(f[1] and 'jit.script' in f[1].pattern for f in warnings.filters)\n"
        "assert hasattr(torch.ops.torchvision, 'nms')\n"
        "from torchvision.transforms import Resize\n"
        "print(tuple(Resize((5, 7))(torch.zeros(3, 9, 9)).shape))\n"
    )
    assert run(code) == "(3, 5, 7)"


def test_operators_that_somebody_else_declared_are_left_alone() -> None:
    code = (
        "import torch\n"
        "from encoders import torch_setup\n"
        "other = torch.library.Library('torchvision', 'FRAGMENT')\n"
        "other.define('nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')\n"
        "torch_setup._loads = lambda package: False\n"
        "print(torch_setup.prepare_torchvision(), hasattr(torch.ops.torchvision, 'qnms'))\n"
    )
    assert run(code) == "True True"


def test_nothing_is_declared_where_the_extension_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []

    def loads(package: Path) -> bool:
        asked.append(package)
        return True

    monkeypatch.setattr(torch_setup, "_declared", [])
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    monkeypatch.setattr(torch_setup, "_loads", loads)
    assert prepare_torchvision() is False
    assert len(asked) == 1
    assert torch_setup._declared == []


def test_other_warnings_of_an_import_are_not_silenced(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "loud_tower.py").write_text("import warnings; warnings.warn('mind this')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.warns(UserWarning, match="mind this"):
        need("loud_tower")
