"""NYUv2's multi-task ResNets, and open_clip's encoders, pickled with classes that are not there."""

from __future__ import annotations

import pickle
import sys
import types
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from pool_models import tensors, write_yaml

TASKS = ("segmentation", "depth")


@pytest.fixture(scope="module")
def nyuv2(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """ResNet-18 checkpoints as Lightning saves them: a base with all decoders, and one model a task."""
    from fusion_stack.models.nyuv2 import NYUv2Model

    folder = tmp_path_factory.mktemp("nyuv2")
    models = {}
    torch.manual_seed(0)
    base = NYUv2Model("resnet18", TASKS).state_dict()
    for name in ("_pretrained_", *TASKS):
        tasks = list(TASKS) if name == "_pretrained_" else [name]
        kept = {key: value for key, value in base.items() if key.startswith("encoder.") or key.split(".")[1] in tasks}
        if name != "_pretrained_":
            kept = {key: value + 0.01 if value.is_floating_point() else value + 3 for key, value in kept.items()}
        torch.save({"state_dict": kept, "epoch": 3}, folder / f"{name}.ckpt")
        models[name] = {"encoder": "resnet18", "decoders": tasks, "ckpt_path": str(folder / f"{name}.ckpt")}
    return models


def merge(pool: Any) -> Any:
    from fusion_stack.method import EngineMethod

    return EngineMethod("task_arithmetic", scaling_factor=0.5).run(pool)


def test_nyuv2_encoders_are_merged_and_decoders_stay(nyuv2: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    from fusion_stack.modelpool import NYUv2ModelPool
    from fusion_stack.models.nyuv2 import CHANNELS

    pool = NYUv2ModelPool.from_yaml(write_yaml(tmp_path / "pool.yaml", "NYUv2ModelPool", nyuv2))
    merged = merge(pool)
    encoders = {name: pool.load_model(name).state_dict() for name in nyuv2}
    base = encoders.pop("_pretrained_")
    result = merged.load().state_dict()
    for name, tensor in base.items():
        if name.endswith("num_batches_tracked"):
            assert torch.equal(result[name], tensor)  # counts come from the base
            continue
        expected = tensor + 0.5 * sum(encoder[name] - tensor for encoder in encoders.values())
        assert torch.allclose(result[name], expected, atol=1e-6, rtol=1e-6), name  # a few roundings in fp32
    whole = pool.load_model("depth", encoder_only=False).eval()
    whole.encoder = merged.load()
    with torch.no_grad():
        assert whole(torch.zeros(1, 3, 32, 48))["depth"].shape == (1, CHANNELS["depth"], 32, 48)
        assert whole.encoder(torch.zeros(1, 3, 32, 48)).shape == (1, 512, 4, 6)


def test_resnet50_has_the_names_and_dilations_of_torchvision() -> None:
    from fusion_stack.models.nyuv2 import DilatedResNet

    with torch.device("meta"):
        encoder = DilatedResNet("resnet50")
    names = dict(encoder.named_parameters())
    assert {"conv1.weight", "bn1.bias", "layer4.2.conv3.weight", "layer3.0.downsample.1.weight"} <= names.keys()
    assert len(names) == 161 - 2  # torchvision's count, less the classifier's
    assert sum(one.numel() for one in names.values()) == 25_557_032 - 2048 * 1000 - 1000  # the same in elements
    dilations = [
        encoder.get_submodule(f"layer{layer}.{block}.conv2").dilation[0] for layer in (3, 4) for block in (0, 1)
    ]
    assert dilations == [1, 2, 2, 4]  # of replace_stride_with_dilation=[False, True, True]


def test_nyuv2_names_what_is_wrong(nyuv2: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    from fusion_stack.modelpool import NYUv2ModelPool

    depth = nyuv2["depth"]
    pool = NYUv2ModelPool(
        {
            "a": depth | {"encoder": "resnet19"},
            "b": depth | {"ckpt_path": "/nowhere.ckpt"},
            "c": depth | {"decoders": ["normal"]},
            "d": depth | {"encoder": "resnet50"},
        }
    )
    with pytest.raises(ValueError, match=r"encoder 'resnet19' is not known; .*Did you mean 'resnet18'"):
        pool.load_model("a")
    with pytest.raises(FileNotFoundError, match=r"no checkpoint '/nowhere\.ckpt'"):
        pool.source("b")
    with pytest.raises(ValueError, match=r"lacks \d+ weights: decoders\.normal"):
        pool.load_model("c", encoder_only=False)
    with pytest.raises(ValueError, match=r"depth\.ckpt is of another architecture than resnet50: 23 shapes differ"):
        pool.load_model("d")


@pytest.fixture
def open_clip_pickles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Whole modules, pickled with the classes of a module that is gone, as the task-vector paper's are."""
    gone = types.ModuleType("src")
    gone.modeling = types.ModuleType("src.modeling")  # type: ignore[attr-defined]

    class Preprocess:
        def __init__(self) -> None:
            self.steps = [print, 224]

    class ImageEncoder(torch.nn.Module):
        def __init__(self, seed: int) -> None:
            super().__init__()
            torch.manual_seed(seed)
            self.model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3))
            self.train_preprocess = Preprocess()

    class ClassificationHead(torch.nn.Linear):
        normalize = True

        def __init__(self) -> None:
            super().__init__(3, 2)
            self.normalize = False

    for cls in (Preprocess, ImageEncoder, ClassificationHead):
        cls.__module__, cls.__qualname__ = "src.modeling", cls.__name__
        setattr(gone.modeling, cls.__name__, cls)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "src", gone)
        patch.setitem(sys.modules, "src.modeling", gone.modeling)
        modules = {
            "_pretrained_": ImageEncoder(0),
            "a": ImageEncoder(1),
            "b": ImageEncoder(2),
            "head": ClassificationHead(),
        }
        paths = {name: str(tmp_path / f"{name}.pt") for name in modules}
        for name in ("_pretrained_", "a", "head"):
            torch.save(modules[name], paths[name])
        with open(paths["b"], "wb") as file:  # the oldest ones are plain pickles
            pickle.dump(modules["b"], file)
        states = {name: module.state_dict() for name, module in modules.items()}
    torch.save(states, tmp_path / "states.pt")
    return paths


def test_open_clip_pickles_are_merged_without_their_classes(open_clip_pickles: dict[str, str], tmp_path: Path) -> None:
    from fusion_stack.modelpool import OpenCLIPVisionModelPool

    models = {
        name: {"model_name": "ViT-B-32", "pickle_path": open_clip_pickles[name]} for name in ("_pretrained_", "a")
    }
    models["b"] = open_clip_pickles["b"]  # type: ignore[assignment]
    heads = {"a": open_clip_pickles["head"]}
    path = write_yaml(
        tmp_path / "pool.yaml", "OpenCLIPVisionModelPool", models, classification_heads=heads, model_dir="/unused"
    )
    pool = OpenCLIPVisionModelPool.from_yaml(path)
    result = merge(pool)
    merged = tensors(result.path)
    states = torch.load(tmp_path / "states.pt", weights_only=True)
    for name, tensor in states["_pretrained_"].items():
        if name.endswith("num_batches_tracked"):
            continue
        expected = tensor + 0.5 * sum(states[one][name] - tensor for one in "ab")
        assert torch.allclose(merged[name], expected, atol=1e-6, rtol=0), name  # a few roundings in fp32
    assert "src.modeling" not in sys.modules
    head = pool.load_classification_head("a")
    assert torch.equal(head.weight, states["head"]["weight"])
    inputs = torch.randn(5, 3)
    assert torch.allclose(head(inputs), inputs @ states["head"]["weight"].T + states["head"]["bias"], atol=1e-6)
    with pytest.raises(KeyError, match=r"no head 'aa'.*Did you mean 'a'"):
        pool.load_classification_head("aa")


def test_a_pickle_runs_nothing(tmp_path: Path) -> None:
    from fusion_stack.modelpool import OpenCLIPVisionModelPool

    class Evil:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "touched",))

    for number, save in enumerate((torch.save, lambda value, path: path.write_bytes(pickle.dumps(value)))):
        save({"weight": Evil()}, tmp_path / f"{number}.pt")
        with pytest.raises(ValueError, match=r"holds no tensors|no pickled module"):
            OpenCLIPVisionModelPool({"a": str(tmp_path / f"{number}.pt")}).source("a")
    assert not (tmp_path / "touched").exists()


def test_loading_an_encoder_needs_open_clip(open_clip_pickles: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    from fusion_stack.modelpool import OpenCLIPVisionModelPool

    monkeypatch.setitem(sys.modules, "open_clip", None)
    pool = OpenCLIPVisionModelPool({"a": open_clip_pickles["a"]}, model_name="ViT-B-32")
    with pytest.raises(ImportError, match=r"pip install 'fusion_kernels\[openclip\]'"):
        pool.load_model("a")
    with pytest.raises(ImportError, match="torchvision"):
        pool.load_processor()


def test_an_encoder_of_open_clip(tmp_path: Path) -> None:
    open_clip = pytest.importorskip("open_clip", reason="open_clip, or the torchvision it needs", exc_type=ImportError)
    from fusion_stack.modelpool import OpenCLIPVisionModelPool
    from fusion_stack.models.open_clip import ImageEncoder

    torch.manual_seed(0)
    encoder = ImageEncoder(open_clip.create_model("ViT-B-32", pretrained=None))
    torch.save(encoder.state_dict(), tmp_path / "a.pt")
    pool = OpenCLIPVisionModelPool({"a": {"model_name": "ViT-B-32", "state_dict_path": str(tmp_path / "a.pt")}})
    loaded = pool.load_model("a").eval()
    images = torch.zeros(1, 3, 224, 224)
    with torch.no_grad():
        assert torch.equal(loaded(images), encoder.eval()(images))
