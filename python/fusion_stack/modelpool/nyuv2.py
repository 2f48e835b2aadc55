"""Multi-task ResNets for NYUv2: encoders are merged, each task keeps its decoder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fusion_kernels.errors import listing, quoted
from fusion_stack.modelpool.base import BaseModelPool
from fusion_stack.modelpool.conversion import Conversions

_IMAGENET = {  # of torchvision; the encoder before any NYUv2 task
    "resnet18": "resnet18-5c106cde",
    "resnet34": "resnet34-333f7ec4",
    "resnet50": "resnet50-19c8e357",
    "resnet101": "resnet101-5d3b4d8f",
    "resnet152": "resnet152-b121ed2d",
}


class NYUv2ModelPool(BaseModelPool):
    """A pool of `fusion_stack.models.nyuv2.NYUv2Model`.

    A model is a mapping: `encoder` (resnet18 ... resnet152), `decoders` (of segmentation, depth, normal), `ckpt_path`
    (a .ckpt, .pt or .safetensors file with names `encoder.*` and `decoders.*`; null for ImageNet weights).
    """

    def __init__(self, models: Any, **kwargs: Any) -> None:
        super().__init__(models, **kwargs)
        self._conversions = Conversions()

    def load_model(self, model_name_or_config: Any, *args: Any, encoder_only: bool = True, **kwargs: Any) -> Any:
        """The encoder, which methods merge; with `encoder_only=False` the whole model with its tasks' decoders.

        Raises ValueError where the file lacks weights, FileNotFoundError where it is missing.
        """
        config = model_name_or_config
        if isinstance(config, str):
            config = self._known(config)
        if not _is_nyuv2(config):
            return super().load_model(model_name_or_config, *args, **kwargs)
        from fusion_stack.models.nyuv2 import NYUv2Model

        model = NYUv2Model(config["encoder"], [] if encoder_only else list(config.get("decoders") or ()))
        path = config.get("ckpt_path")
        weights = _imagenet(config["encoder"]) if path is None else _weights(Path(path).expanduser())
        _fill(model, weights, path or f"ImageNet weights of {config['encoder']}", trained=path is not None)
        return model.encoder if encoder_only else model

    def source(self, model_name: str) -> Any:
        """The folder of an encoder's tensors; a pickle is first made one, once."""
        config = self._known(model_name)
        if not _is_nyuv2(config):
            return super().source(model_name)
        path = config.get("ckpt_path")
        files = [] if path is None else [str(Path(path).expanduser())]
        cache = None if self._program is None else self._program.path.get("cache_dir")

        def write(folder: Path) -> None:
            from safetensors.torch import save_file

            encoder = self.load_model(model_name)
            save_file(encoder.state_dict(), folder / "model.safetensors", metadata={"format": "pt"})
            (folder / "config.json").write_text(json.dumps({"encoder": encoder.arch}, indent=2) + "\n")

        return self._conversions.folder(["NYUv2", config["encoder"]], files, write, cache)

    def from_pretrained(self, path: str, *args: Any, **kwargs: Any) -> Any:
        """The encoder whose tensors lie in a folder that a merge wrote."""
        from fusion_stack.models.nyuv2 import DilatedResNet

        encoder = DilatedResNet(json.loads((Path(path) / "config.json").read_text())["encoder"])
        encoder.load_state_dict(_weights(Path(path) / "model.safetensors"))
        return encoder


def _is_nyuv2(config: Any) -> bool:
    return hasattr(config, "keys") and "encoder" in config


def _weights(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint {quoted(str(path))}; modelpool.models.NAME.ckpt_path names it")
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    import torch

    loaded = torch.load(path, map_location="cpu", weights_only=True)
    state: dict[str, Any] = loaded.get("state_dict", loaded)
    return state


def _imagenet(arch: str) -> dict[str, Any]:
    import torch

    url = f"https://download.pytorch.org/models/{_IMAGENET[arch]}.pth"
    try:
        state = torch.hub.load_state_dict_from_url(url, map_location="cpu", weights_only=True)
    except OSError as error:
        raise FileNotFoundError(
            f"ImageNet weights of {arch}: would have fetched {url} into {torch.hub.get_dir()}/checkpoints; put the "
            f"file there, or name a checkpoint as ckpt_path. ({type(error).__name__}: {error})"
        ) from error
    return {f"encoder.{name}": tensor for name, tensor in state.items() if not name.startswith("fc.")}


def _fill(model: Any, weights: dict[str, Any], where: str, *, trained: bool) -> None:
    """`trained`: whether decoders are expected, too; the ImageNet classifier has none."""
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    other = [name for name, tensor in weights.items() if wanted.get(name, tuple(tensor.shape)) != tuple(tensor.shape)]
    if other:
        shape, own = tuple(weights[other[0]].shape), wanted[other[0]]
        raise ValueError(
            f"{where} is of another architecture than {model.encoder.arch}: {len(other)} shapes differ, such as "
            f"{other[0]}: {shape}, expected {own}"
        )
    found = model.load_state_dict(weights, strict=False)
    missing = [name for name in found.missing_keys if trained or name.startswith("encoder.")]
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]  # younger than some files
    if missing:
        raise ValueError(
            f"{where} lacks {len(missing)} weights: {listing(missing, limit=4)}; expected names such as "
            "encoder.layer1.0.conv1.weight and decoders.depth.4.bias, as the model's `encoder` and `decoders` say"
        )
