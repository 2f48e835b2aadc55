"""CLIP models of transformers, of which the vision tower is merged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from fusion_stack.modelpool.pretrained import PretrainedModelPool

if TYPE_CHECKING:
    from fusion_kernels.sources import Checkpoint

_TOWER = "vision_model."


class CLIPVisionModelPool(PretrainedModelPool):
    """A pool of CLIP vision towers; folders may hold the tower alone or all of CLIP, in any mixture.

    The merged folder holds a tower, whatever the base holds. Source of the model: Radford et al. 2021
    (arXiv:2103.00020).
    """

    auto_class: ClassVar[str] = "CLIPVisionModel"
    processor_class: ClassVar[str] = "CLIPProcessor"
    # What transformers before 5 called the tower inside its model; weights are renamed by transformers itself.
    adapter_renames: ClassVar[dict[str, str] | None] = {r"^vision_model\.": ""}

    def part(self, checkpoint: Checkpoint) -> Checkpoint:
        """The tower: tensors named `vision_model.*`, and of the configuration what concerns it."""
        names = checkpoint.tensors
        if any(name.startswith(_TOWER) for name in names):
            checkpoint.tensors = {name: info for name, info in names.items() if name.startswith(_TOWER)}
        config = checkpoint.config or {}
        vision = config.get("vision_config")
        if isinstance(vision, dict):
            kept: dict[str, Any] = {key: config[key] for key in ("dtype", "torch_dtype") if key in config}
            own = {"architectures": [self.auto_class], "model_type": "clip_vision_model"}
            checkpoint.config = {**vision, **kept, **own}
        return checkpoint

    def load_clip_model(self, model_name: str, *args: Any, **kwargs: Any) -> Any:
        """All of a model's CLIP, text tower and projections included, as transformers.CLIPModel.

        Raises ValueError where the folder holds the vision tower alone.
        """
        return self._load("CLIPModel", self.get_model_path(model_name), *args, **kwargs)
