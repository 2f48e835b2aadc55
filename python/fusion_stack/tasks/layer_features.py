"""What every layer of a transformer makes of the data it is evaluated on, saved for analysis."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any


class LayerFeatures:
    """A context in which the outputs of `encoder.layers` are collected; on leaving it they are saved.

    folder: one file for each layer, layer_N.safetensors with a tensor "features" (items, D), or (items, tokens, D)
    where first_token_only is false; None to do nothing. most: items kept, None or 0 for all.
    """

    def __init__(
        self, tower: Any, folder: Path | None, *, first_token_only: bool = True, most: int | None = None
    ) -> None:
        self.folder, self.first_token_only, self.most = folder, first_token_only, most or None
        encoder = getattr(getattr(tower, "vision_model", tower), "encoder", None)
        if folder is not None and encoder is None:
            raise ValueError(f"layer_wise_feature_save_path: {type(tower).__name__} has no encoder.layers")
        self.layers = [] if folder is None or encoder is None else list(encoder.layers)
        self.features: list[list[Any]] = [[] for _ in self.layers]
        self._handles: list[Any] = []

    def __enter__(self) -> LayerFeatures:
        for layer, kept in zip(self.layers, self.features, strict=True):
            self._handles.append(layer.register_forward_hook(self._keeper(kept)))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        for handle in self._handles:
            handle.remove()
        if kind is not None or self.folder is None:
            return
        import torch
        from safetensors.torch import save_file

        self.folder.mkdir(parents=True, exist_ok=True)
        for number, kept in enumerate(self.features):
            save_file({"features": torch.cat(kept)}, self.folder / f"layer_{number}.safetensors")

    def _keeper(self, kept: list[Any]) -> Any:
        def keep(_layer: Any, _inputs: Any, output: Any) -> None:
            features = output[0] if isinstance(output, tuple) else output
            features = features[:, 0] if self.first_token_only else features
            room = None if self.most is None else self.most - sum(map(len, kept))
            if room is None or room > 0:
                kept.append(features[:room].float().cpu().contiguous().clone())

        return keep
