"""The two calls everything else serves: merge() makes a model from several, plan() says what that would take."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

from fusion_kernels.request import DEFAULT_PRESET, DEFAULT_SEED, from_arguments

if TYPE_CHECKING:
    import torch

    from fusion_kernels.parameters import Preset
    from fusion_kernels.planning import Plan
    from fusion_kernels.progress import Progress
    from fusion_kernels.recipe import Recipe
    from fusion_kernels.report import MergeReport

    Models = Sequence[Any] | Mapping[str, Any] | Recipe | str | os.PathLike[str]


@overload
def merge(
    models: Models,
    *,
    method: str | None = None,
    base: Any = None,
    output: None = None,
    preset: Preset = DEFAULT_PRESET,
    parameters: Mapping[str, Any] | None = None,
    dtype: Any = None,
    seed: int = DEFAULT_SEED,
    device: str = "auto",
    threads: int | None = None,
    memory_limit: int | str = "auto",
    device_memory_limit: int | str = "auto",
    max_shard_size: int | str = "5GB",
    overwrite: bool = False,
    durable: bool = False,
    model_card: bool = True,
    allow_nonfinite: bool = False,
    on_unequal_integers: Literal["error", "base"] = "error",
    progress: Callable[[Progress], None] | bool | None = None,
    overrides: Mapping[str, Any] | None = None,
    **method_parameters: Any,
) -> dict[str, torch.Tensor]: ...


@overload
def merge(
    models: Models,
    *,
    method: str | None = None,
    base: Any = None,
    output: str | os.PathLike[str],
    preset: Preset = DEFAULT_PRESET,
    parameters: Mapping[str, Any] | None = None,
    dtype: Any = None,
    seed: int = DEFAULT_SEED,
    device: str = "auto",
    threads: int | None = None,
    memory_limit: int | str = "auto",
    device_memory_limit: int | str = "auto",
    max_shard_size: int | str = "5GB",
    overwrite: bool = False,
    durable: bool = False,
    model_card: bool = True,
    allow_nonfinite: bool = False,
    on_unequal_integers: Literal["error", "base"] = "error",
    progress: Callable[[Progress], None] | bool | None = None,
    overrides: Mapping[str, Any] | None = None,
    **method_parameters: Any,
) -> MergeReport: ...


def merge(
    models: Models,
    *,
    method: str | None = None,
    base: Any = None,
    output: str | os.PathLike[str] | None = None,
    preset: Preset = DEFAULT_PRESET,
    parameters: Mapping[str, Any] | None = None,
    dtype: Any = None,
    seed: int = DEFAULT_SEED,
    device: str = "auto",
    threads: int | None = None,
    memory_limit: int | str = "auto",
    device_memory_limit: int | str = "auto",
    max_shard_size: int | str = "5GB",
    overwrite: bool = False,
    durable: bool = False,
    model_card: bool = True,
    allow_nonfinite: bool = False,
    on_unequal_integers: Literal["error", "base"] = "error",
    progress: Callable[[Progress], None] | bool | None = None,
    overrides: Mapping[str, Any] | None = None,
    **method_parameters: Any,
) -> dict[str, torch.Tensor] | MergeReport:
    """Merge several models of one architecture into one.

    models: a sequence of models or {name: model}; a model is a folder in Hugging Face layout, a .safetensors file, a
        hub id, a state dict of torch tensors or numpy arrays (any shape; dtypes F64, F32, F16, BF16, F8_E4M3, F8_E5M2,
        with integers copied where equal) or a torch.nn.Module. Or a recipe in mergekit's YAML: a path ending in .yml or
        .yaml, a mapping, a Recipe; `overrides` replaces parts of it: {"dtype": "float32", "parameters": {"t": 0.3}}.
    method: a name of `methods()`; `describe(name)` tells its parameters, formula and paper. A recipe brings its own.
    base: the model the others were made from. Where it is also among `models`, it is not merged as a fine-tune.
    output: a folder, or a name ending in .safetensors for a single file. None returns the merged tensors instead.
    preset: whose defaults fill in what is not given: "mergekit", "paper" or "fusionbench".
    parameters, method_parameters: the method's parameters, in a mapping or by name (`lambda_` for lambda). Those that
        differ by model take one value, one for each merged model in order, or {model: value}.
    dtype: of the output ("bfloat16", torch.bfloat16, ...); inputs are never rounded to it first. None takes, tensor by
        tensor, the narrowest dtype that holds all inputs.
    seed: of methods that draw random numbers; stated in the recipe written beside the result.
    device: "auto" or "cpu", or GPUs that share the tensors and, where one is large, its tiles: "cuda", "cuda:1",
        "cuda:0,1". The bits are the same.
    threads: native threads; None takes all cores.
    memory_limit: bytes the engine may allocate, whatever the size of a tensor ("256MiB", int); "auto" is a quarter of
        what is available to this process.
    device_memory_limit: the same of each GPU's memory, with tiles as small as it takes; "auto" is seven eighths of what
        is free there.
    max_shard_size: bytes of weights per file ("5GB", "512MiB", int).
    overwrite: write into a folder that holds files, replacing those of the same name, or replace an existing file.
    durable: wait until the result has reached the disk before it is published.
    model_card: write README.md; mergekit_config.yml is written in any case (neither beside a single file).
    allow_nonfinite: keep NaN and infinities that arise from finite inputs instead of stopping.
    on_unequal_integers: "error", or "base" to take integer tensors that differ from the base (else the first model).
    progress: called about ten times a second with a Progress; what it raises stops the merge. True shows a bar.

    Returns {name: tensor} on the CPU, or a MergeReport when `output` is given.

    Raises ValueError, NotImplementedError or OSError naming file, tensor, model and parameter for input that cannot be
    merged, DeviceError for a device this build lacks, ImportError for a result in memory without torch. Whatever is
    raised, KeyboardInterrupt included, nothing is published and the temporary folder is gone.
    """
    started = time.perf_counter()
    arguments = _named(locals())
    from fusion_kernels.prepare import prepare
    from fusion_kernels.running import into_files, into_memory

    prepared = prepare(from_arguments(models, **arguments))
    prepared.raise_problems()
    return into_memory(prepared) if output is None else into_files(prepared, started=started)


def plan(
    models: Models,
    *,
    method: str | None = None,
    base: Any = None,
    output: str | os.PathLike[str] | None = None,
    preset: Preset = DEFAULT_PRESET,
    parameters: Mapping[str, Any] | None = None,
    dtype: Any = None,
    seed: int = DEFAULT_SEED,
    device: str = "auto",
    threads: int | None = None,
    memory_limit: int | str = "auto",
    device_memory_limit: int | str = "auto",
    max_shard_size: int | str = "5GB",
    overwrite: bool = False,
    durable: bool = False,
    model_card: bool = True,
    allow_nonfinite: bool = False,
    on_unequal_integers: Literal["error", "base"] = "error",
    progress: Callable[[Progress], None] | bool | None = None,
    overrides: Mapping[str, Any] | None = None,
    **method_parameters: Any,
) -> Plan:
    """Say what `merge` with the same arguments would do and need, and everything that would stop it.

    Reads headers and configurations alone, never a weight, and writes nothing. What keeps the merge from running is in
    `Plan.problems`, all of it; raises only for arguments that contradict each other and recipes that cannot be read.
    """
    arguments = _named(locals())
    from fusion_kernels.prepare import prepare

    return prepare(from_arguments(models, **arguments)).plan()


def _named(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The keyword arguments of merge() or plan() among its local names, so that the list stands in one place less."""
    return {name: arguments[name] for name in merge.__kwdefaults__ or {}} | {
        "method_parameters": arguments["method_parameters"]
    }
