"""One class for every method of the engine: merges files by streaming them, without a model in memory."""

from __future__ import annotations

import copy
import logging
import sys
import tempfile
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import fusion_kernels
from fusion_kernels.method_info import get_method
from fusion_kernels.sources import Checkpoint, TensorInfo, open_source
from fusion_stack.checkpoint import MergedCheckpoint
from fusion_stack.method.base import BaseAlgorithm
from fusion_stack.method.engine.parts import Part, join, merge_part
from fusion_stack.method.engine.selection import Selection
from fusion_stack.method.engine.vocabulary import translated
from fusion_stack.modelpool.base import BaseModelPool

log = logging.getLogger(__name__)


class EngineMethod(BaseAlgorithm):
    """A method of fusion_kernels on the models of a pool.

    engine_method: a name of fusion_kernels.methods(), or of a function decorated with fusion_kernels.merge_method.
    module: what to import first, where that function is in a module of the user's.
    preset: whose defaults fill in what is not given.
    parameters: the method's own (`density`, `lambda`, ...) or FusionBench's words for them (`threshold`,
        `scaling_factor`, ...), and those of `Selection`, which say what is merged.
    model_save_path: folder for the result; None leaves that to the program.
    push_to_hub: "org/name" to upload the result to, or false.
    dtype: of the result; None for the models' own. seed: of random draws; None for the program's.

    A pool of files is merged from file to file, a pool of modules in memory; arithmetic is in fp32 in either case and
    rounded once to the models' dtype.
    """

    loads_torch: ClassVar[bool] = False  # the engine draws by itself
    _config_mapping = BaseAlgorithm._config_mapping | {
        name: name for name in ("engine_method", "preset", "model_save_path", "push_to_hub", "module", "dtype", "seed")
    }

    def __init__(
        self,
        engine_method: str,
        *,
        preset: str = "fusionbench",
        model_save_path: str | None = None,
        push_to_hub: str | bool = False,
        module: str | None = None,
        dtype: str | None = None,
        seed: int | None = None,
        **parameters: Any,
    ) -> None:
        self.engine_method, self.preset = engine_method, preset
        notes = {name: parameters.pop(name) for name in list(parameters) if name in BaseAlgorithm._config_mapping}
        model_save_path = parameters.pop("merged_model_save_path", None) or model_save_path
        if module is not None:
            import_module(module)
        self.given = parameters
        self.model_save_path, self.push_to_hub = model_save_path, push_to_hub
        self.module, self.dtype, self.seed = module, dtype, seed
        self.selection, rest = Selection.of(parameters)
        self.parameters = translated(engine_method, rest)
        super().__init__(**notes)

    @property
    def config(self) -> Any:
        """The configuration, with the parameters as they were given."""
        from omegaconf import OmegaConf

        return OmegaConf.merge(super().config, OmegaConf.create(self.given))

    def run(self, modelpool: Any) -> Any:
        """Merges the models of a pool, or of a dictionary {name: module} or list.

        Returns a MergedCheckpoint where the pool's models are files, else a torch.nn.Module; raises what
        fusion_kernels.merge raises, and ValueError for a base or a number of models that is missing.
        """
        pool = BaseModelPool.of(modelpool)
        parts, models, base, options = self._prepared(pool)
        if _in_memory(models, base):
            tensors: dict[str, Any] = {}
            for part in parts:
                tensors |= merge_part(part, models, base, **options)
            merged = copy.deepcopy(pool.load_pretrained_or_first_model())
            merged.load_state_dict(tensors, strict=False)
            return merged
        return self._into_files(pool, parts, models, base, options)

    def plan(self, modelpool: Any) -> list[fusion_kernels.Plan]:
        """What `run` would do and need, one for each part of the model, from headers alone."""
        pool = BaseModelPool.of(modelpool)
        parts, models, base, options = self._prepared(pool)
        options.pop("progress")
        output = None if _in_memory(models, base) else self._output()
        return [merge_part(part, models, base, plan=True, output=output, **options) for part in parts]

    def _prepared(
        self, pool: BaseModelPool
    ) -> tuple[list[Part], dict[str, Checkpoint], Checkpoint | None, dict[str, Any]]:
        names, base_name = self._roles(pool)
        models = {name: open_source(pool.source(name), label=name) for name in names}
        base = None if base_name is None else models.get(base_name)
        if base is None and base_name is not None:
            base = open_source(pool.source(base_name), label=base_name)
        program = self._program
        saving = {} if program is None or _in_memory(models, base) else program.engine_options
        options = {
            **saving,
            "preset": self.preset,
            "seed": self.seed if self.seed is not None else 0 if program is None else program.seed or 0,
            "dtype": self.dtype if self.dtype is not None else saving.get("dtype"),
            "device": "auto" if program is None else program.hardware.engine_device,
            "progress": sys.stderr.isatty(),
        }
        names_of_tensors = (base or next(iter(models.values()))).tensors
        return self.parts(names_of_tensors, has_base=base is not None), models, base, options

    def parts(self, tensors: Mapping[str, TensorInfo], *, has_base: bool) -> list[Part]:
        """The parts of a model with these tensors, and how each is merged."""
        return self.selection.parts(self.engine_method, self.parameters, tensors, has_base=has_base)

    def _roles(self, pool: BaseModelPool) -> tuple[list[str], str | None]:
        """Names of the models that are merged, and of the base."""
        if not pool.model_names:
            pool.pretrained_or_first_name  # noqa: B018  (its message)
        role = get_method(self.engine_method).base
        names = pool.model_names
        if role == "member":  # slerp: from one model to the other
            if pool.has_pretrained and len(names) == 1:
                names = ["_pretrained_", *names]
            return names, names[0]
        if role == "required":
            pool.require_pretrained()
        return names, "_pretrained_" if pool.has_pretrained else None

    def _output(self) -> Path | None:
        if self.model_save_path is not None:
            return Path(self.model_save_path)
        return None if self._program is None else self._program.merged_model_path

    def _into_files(
        self,
        pool: BaseModelPool,
        parts: list[Part],
        models: Mapping[str, Checkpoint],
        base: Checkpoint | None,
        options: dict[str, Any],
    ) -> MergedCheckpoint:
        keep, output = None, self._output()
        if output is None:
            keep = tempfile.TemporaryDirectory(prefix="fusion-stack-")
            output = Path(keep.name) / "merged"
        if len(parts) == 1:
            report = merge_part(parts[0], models, base, output=output, overwrite=True, **options)
        else:
            output.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.parts-") as folder:
                folders = [Path(folder) / str(number) for number in range(len(parts))]
                report, *_ = [
                    merge_part(part, models, base, output=folder, **options)
                    for part, folder in zip(parts, folders, strict=True)
                ]
                join(folders, output)
        for note in report.notes:
            log.info("%s", note)
        checkpoint = MergedCheckpoint(output, pool, report=report, keep=keep)
        if self.push_to_hub:
            from fusion_stack.publishing import push_to_hub

            push_to_hub(checkpoint.path, self.push_to_hub)
        return checkpoint


def _in_memory(models: Mapping[str, Checkpoint], base: Checkpoint | None) -> bool:
    """Whether a model is a module, in the pool or made by a function that it names: then the result is one as well."""
    return any(one.memory for one in models.values()) or (base is not None and bool(base.memory))
