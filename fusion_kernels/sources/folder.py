"""Opens models on disk: a folder in Hugging Face layout or one safetensors file."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from fusion_kernels.errors import listing, quoted
from fusion_kernels.sources.checkpoint import Checkpoint, FileStamp, TensorInfo
from fusion_kernels.sources.safetensors_header import MAX_HEADER_BYTES, Header, load_object, read_header

_LONGEST_NAME = 255  # characters of a file named by an index
_PICKLES = (".bin", ".pt", ".pth", ".ckpt")


def open_file(path: Path, *, label: str) -> Checkpoint:
    """Opens one safetensors file. Raises ValueError for any other kind of file, OSError where it cannot be read."""
    if path.suffix in _PICKLES:
        raise ValueError(f"{path}: a pickle ({path.suffix}) cannot be merged from disk; {_way_out()}")
    if path.suffix == ".gguf":
        raise NotImplementedError(
            f"{path}: GGUF is not available yet; give the safetensors checkpoint it was made from"
        )
    header = read_header(path)
    return assemble(label, str(path), None, [path], [header], None)


def open_folder(folder: Path, *, label: str) -> Checkpoint:
    """Opens the folder's model: the shards its index names, or model.safetensors, or its only *.safetensors file.

    Raises ValueError, naming the file, for an index or header that is not valid, FileNotFoundError where weights or
    shards are missing, NotImplementedError for a folder that holds only an adapter.
    """
    names = {entry.name for entry in folder.iterdir()}
    weights = choose_weights(names, str(folder))
    index = read_index(folder / weights) if weights.endswith(".json") else None
    shards = list(dict.fromkeys(sorted(index.values()))) if index is not None else [weights]
    files = [folder / shard for shard in shards]
    absent = [shard for shard, file in zip(shards, files, strict=True) if not file.exists()]
    if absent:
        raise FileNotFoundError(
            f"{folder}: {len(absent)} of the {len(shards)} files that {weights} names are missing: "
            f"{listing(map(quoted, absent), limit=5)}; "
            "the download or copy is not complete"
        )
    headers = [read_header(file, buffer=number) for number, file in enumerate(files)]
    checkpoint = assemble(label, str(folder), folder, files, headers, index)
    checkpoint.config = read_config(folder / "config.json")
    return checkpoint


def choose_weights(names: Collection[str], where: str) -> str:
    """Returns which of a folder's file names opens its weights: an index (.json) or one .safetensors file.

    Raises FileNotFoundError where there is none, ValueError where the choice is not clear, NotImplementedError for an
    adapter.
    """
    indexes = sorted(name for name in names if name.endswith(".safetensors.index.json"))
    tensors = sorted(name for name in names if name.endswith(".safetensors"))
    if "model.safetensors" in tensors and "model.safetensors.index.json" in indexes:
        raise ValueError(
            f"{where}: holds both model.safetensors and model.safetensors.index.json, two models or one of them "
            "stale; remove one, "
            "or give the path of the .safetensors file itself"
        )
    for choice in ("model.safetensors.index.json", "model.safetensors"):
        if choice in names:
            return choice
    if len(indexes) == 1:
        return indexes[0]
    if "adapter_config.json" in names:
        raise NotImplementedError(
            f"{where}: holds a LoRA adapter (adapter_config.json), not a model; adapters are not available yet, merge "
            "it into its "
            "model first (peft: merge_and_unload)"
        )
    if len(tensors) == 1:
        return tensors[0]
    if tensors:
        raise ValueError(
            f"{where}: holds {len(tensors)} .safetensors files and no model.safetensors.index.json to say which "
            "belong together: "
            f"{listing(tensors, limit=5)}; give the path of one file, or add the index (save_pretrained writes it)"
        )
    pickles = sorted(name for name in names if name.endswith(_PICKLES))
    if pickles:
        raise FileNotFoundError(
            f"{where}: holds only pickled weights ({listing(pickles, limit=3)}), no .safetensors; {_way_out()}"
        )
    raise FileNotFoundError(
        f"{where}: no model in this folder; expected model.safetensors, or model.safetensors.index.json with its shards"
    )


def _way_out() -> str:
    return (
        "convert it once: transformers.AutoModel.from_pretrained(...).save_pretrained(...), or "
        "safetensors.torch.save_file(torch.load(path, weights_only=True), 'model.safetensors')"
    )


def read_index(path: Path) -> dict[str, str]:
    """Returns the index's weight_map, {tensor: file}. Raises ValueError for names that lead out of the folder."""
    size = path.stat().st_size
    if size > MAX_HEADER_BYTES:
        raise ValueError(f"{path}: an index of {size} bytes; at most {MAX_HEADER_BYTES} are read")
    index = load_object(path.read_bytes(), str(path)).get("weight_map")
    if not isinstance(index, dict) or not index:
        raise ValueError(
            f"{path}: weight_map must be an object {{tensor: file}} with at least one tensor, got {quoted(index)}"
        )
    for name, file in index.items():
        if not isinstance(file, str) or not file:
            raise ValueError(f"{path}: tensor {quoted(name)}: expected a file name, got {quoted(file)}")
    for file in dict.fromkeys(index.values()):
        # A link inside the folder may lead anywhere (the hub's cache is made of them); a name may not.
        parts = file.split("/")
        if (
            not file.endswith(".safetensors")
            or any(part in ("", ".", "..") for part in parts)
            or "\\" in file
            or "\0" in file
            or len(file) > _LONGEST_NAME
        ):
            name = next(name for name, value in index.items() if value == file)
            raise ValueError(
                f"{path}: tensor {quoted(name)}: the index names the file {quoted(file)}; only .safetensors files "
                f"inside the folder are allowed (no absolute path, no '..', at most {_LONGEST_NAME} characters)"
            )
    return index


def read_config(path: Path) -> dict[str, Any] | None:
    """Returns the parsed config.json, None where it is absent or empty. Raises ValueError where it is no JSON "
    "object."""
    try:
        if path.stat().st_size > MAX_HEADER_BYTES:
            raise ValueError(f"{path}: {path.stat().st_size} bytes are too many for a config.json")
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    return load_object(text, str(path)) if text.strip() else None


def assemble(
    label: str, source: str, folder: Path | None, files: list[Path], headers: list[Header], index: dict[str, str] | None
) -> Checkpoint:
    """Joins the headers of a model's files; `index` decides which tensor is taken from which file.

    Raises ValueError where the index names tensors its shards lack, or where the model has no tensors.
    """
    tensors: dict[str, TensorInfo] = {}
    unlisted: list[str] = []
    prefix = f"{folder}/" if folder else ""
    for file, header in zip(files, headers, strict=True):
        shard = str(file).removeprefix(prefix)
        for name, tensor in header.tensors.items():
            if index is None or index.get(name) == shard:
                tensors[name] = tensor
            elif name not in index:
                unlisted.append(name)
    lacking = [f"{quoted(name)} in {file}" for name, file in (index or {}).items() if name not in tensors]
    if lacking:
        raise ValueError(
            f"{source}: the index names {len(lacking)} tensors that its shards do not hold: "
            f"{listing(lacking, limit=5)}; the index "
            "and the shards belong to different models"
        )
    if not tensors:
        raise ValueError(f"{source}: holds no tensors")
    stamps: list[FileStamp] = [header.stamp for header in headers if header.stamp]
    notes = [
        f"model '{label}': {len(unlisted)} tensors that the index does not name are left out: "
        f"{listing(unlisted, limit=3)}"
    ]
    return Checkpoint(label, source, tensors, files, stamps, folder=folder, notes=notes if unlisted else [])
