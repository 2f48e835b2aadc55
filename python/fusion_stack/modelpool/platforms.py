"""Where models and datasets come from by name: local folders, the Hugging Face hub, ModelScope."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from fusion_kernels.errors import listing, quoted, suggest

PLATFORMS = ("hf", "huggingface", "modelscope")


def locate(reference: str, *, platform: str = "hf", kind: str = "model") -> str:
    """A local path, or an id of the Hugging Face hub, for what a configuration names.

    A path that exists wins. `hf://`, `huggingface://` and `modelscope://` before an id say the platform, whatever
    `platform` says. From ModelScope the repository is downloaded into its cache; `kind` is "model" or "dataset".
    Raises ValueError for an unknown platform, ImportError where the platform's package is not installed, and
    FileNotFoundError, saying what would have been fetched, where ModelScope cannot be reached or has no such thing.
    """
    scheme, separator, rest = reference.partition("://")
    if separator:
        platform, reference = scheme, rest
    if platform not in PLATFORMS:
        raise ValueError(
            f"platform {quoted(platform)} is not known; choose one of {listing(PLATFORMS)}."
            f"{suggest(platform, PLATFORMS)}"
        )
    if Path(reference).expanduser().exists():
        return str(Path(reference).expanduser())
    return _from_modelscope(reference, kind) if platform == "modelscope" else reference


def require_obtainable(reference: str) -> None:
    """Raises FileNotFoundError where a model cannot be had: the hub does not answer and its cache has nothing of it.

    Asked before libraries are imported to load it, which takes longer than this.
    """
    from fusion_stack.hub import absence, is_path

    if is_path(reference) or absence() is None:
        return
    from huggingface_hub import constants

    name = reference.partition("@")[0]
    if not (Path(constants.HF_HUB_CACHE) / f"models--{name.replace('/', '--')}").exists():
        raise unreachable(reference)


def unreachable(reference: str, reason: object = None, *, kind: str = "model") -> FileNotFoundError:
    """The error for something of the Hugging Face hub that neither the hub nor its cache gives."""
    from huggingface_hub import constants

    from fusion_stack.hub import absence

    address = f"{constants.ENDPOINT}/{'datasets/' if kind == 'dataset' else ''}{reference}"
    option = " --repo-type dataset" if kind == "dataset" else ""
    why = f" {absence() or ''}".rstrip()
    return FileNotFoundError(
        f"{kind} {quoted(reference)}: no folder of that name, and the hub's cache {constants.HF_HUB_CACHE} does not "
        f"hold it.{why} Would have fetched {address}; run `hf download {reference}{option}` where there is a "
        f"connection, or name a folder.{f' ({_first_line(reason)})' if reason is not None else ''}"
    )


def _from_modelscope(reference: str, kind: str) -> str:
    try:
        modelscope = import_module("modelscope")
    except ImportError as error:
        raise ImportError(
            f"{kind} {quoted(reference)} is to come from ModelScope, whose package is missing: pip install modelscope"
        ) from error
    try:
        return str(modelscope.snapshot_download(reference, repo_type=kind))
    except Exception as error:  # modelscope's own errors, requests' and urllib3's share no class
        raise FileNotFoundError(
            f"{kind} {quoted(reference)}: would have fetched https://modelscope.cn/{kind}s/{reference}; download it "
            f"where there is a connection (`modelscope download --{kind} {reference}`), or name a folder. "
            f"({_first_line(error)})"
        ) from error


def _first_line(reason: object) -> str:
    lines = str(reason).strip().splitlines()
    return f"{type(reason).__name__}: {lines[0]}" if lines else type(reason).__name__
