"""Opens models on the Hugging Face hub: headers by range requests first, the weights only when they are read.

Source: huggingface_hub, whose cache, token, endpoint, offline mode and retries are used as they are configured.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from fusion_kernels.companions import GROUPS
from fusion_kernels.errors import listing, quoted
from fusion_kernels.sources.checkpoint import Buffer, Checkpoint
from fusion_kernels.sources.folder import assemble, choose_weights, open_folder, read_config, read_index
from fusion_kernels.sources.remote_header import is_transport_error, read_remote_header
from fusion_kernels.sources.safetensors_header import Header, read_header

_SMALL_FILES = ("config.json", "README.md", "LICENSE*", *(pattern for group in GROUPS.values() for pattern in group))
_LANDMARKS = ("config.json", "model.safetensors.index.json", "model.safetensors", "README.md")


@dataclass
class HubCheckpoint(Checkpoint):
    """A model on the hub. Its small files are in the cache; open() fetches the shards that are not."""

    shards: list[str] = field(default_factory=list)

    def open(self) -> list[Buffer]:
        """Downloads the missing shards into the hub's cache, checks their headers again, and opens them.

        Raises OSError where a download fails or does not match the header that was read before.
        """
        from huggingface_hub import snapshot_download

        assert self.reference is not None
        missing = [shard for shard, file in zip(self.shards, self.files, strict=True) if not file.exists()]
        if missing:
            with _explained(self.reference, self.revision, f"downloading {listing(map(quoted, missing), limit=3)}"):
                snapshot_download(self.reference, revision=self.revision, allow_patterns=missing)
        if not self.stamps:
            for number, file in enumerate(self.files):
                header = read_header(file, buffer=number)
                planned = [tensor for tensor in self.tensors.values() if tensor.buffer == number]
                if any(header.tensors.get(tensor.name) != tensor for tensor in planned) or header.stamp is None:
                    raise OSError(f"{file}: not the file whose header was read from the hub; delete it and start again")
                self.stamps.append(header.stamp)
        return super().open()


def open_hub(source: str, *, label: str | None = None) -> Checkpoint:
    """Opens `org/name` or `org/name@revision` (branch, tag or commit) on the hub; fetches headers and small files only.

    In offline mode (HF_HUB_OFFLINE=1) or without connection the cache is used. Raises FileNotFoundError where the hub,
    or in offline mode the cache, has no such model, PermissionError where it is gated, another OSError where the hub
    cannot be reached, and what a folder with the same files would raise.
    """
    from huggingface_hub import HfApi, constants

    reference, _, revision = source.partition("@")
    label = label or reference.rpartition("/")[2]
    if constants.HF_HUB_OFFLINE:
        return _from_cache(reference, revision or None, label, "offline mode (HF_HUB_OFFLINE) is on", None)
    try:
        with _explained(reference, revision, "looking it up"):
            timeout = constants.HF_HUB_ETAG_TIMEOUT  # it would wait for as long as the system does
            info = HfApi().model_info(reference, revision=revision or None, timeout=timeout)
    except _UnreachableError as error:
        checkpoint = _from_cache(reference, revision or None, label, str(error), error)
        checkpoint.notes.append(f"model {label!r}: {error}; the copy in the cache is used")
        return checkpoint
    names = [sibling.rfilename for sibling in info.siblings or ()]
    return _from_hub(reference, revision or None, str(info.sha), names, label)


def _from_hub(reference: str, revision: str | None, commit: str, names: list[str], label: str) -> Checkpoint:
    from huggingface_hub import constants, hf_hub_download

    weights = choose_weights([name for name in names if "/" not in name], f"{reference} on the hub")
    small = [name for name in names if any(_matches(name, pattern) for pattern in _SMALL_FILES)]
    if weights.endswith(".json"):
        small.append(weights)
    folder = Path(constants.HF_HUB_CACHE) / ("models--" + reference.replace("/", "--")) / "snapshots" / commit
    for name in small:
        # By the revision's own name, so that the cache learns which commit it stands for and works offline later.
        with _explained(reference, revision, f"downloading {name}"):
            path = hf_hub_download(reference, name, revision=revision)
        if not Path(path).is_relative_to(folder):
            raise OSError(
                f"{reference}: the hub's revision {revision or 'main'} changed while it was read; start again"
            )
    index = read_index(folder / weights) if weights.endswith(".json") else None
    shards = sorted(set(index.values())) if index is not None else [weights]
    absent = [shard for shard in shards if shard not in names]
    if absent:
        raise FileNotFoundError(
            f"{reference} on the hub: {weights} names files it lacks: {listing(map(quoted, absent), limit=5)}"
        )
    files = [folder / shard for shard in shards]
    headers = [
        _header(reference, commit, shard, file, number)
        for number, (shard, file) in enumerate(zip(shards, files, strict=True))
    ]
    known = assemble(label, f"{reference}@{revision}" if revision else reference, folder, files, headers, index)
    to_fetch = [shard for shard, header in zip(shards, headers, strict=True) if header.stamp is None]
    if to_fetch:
        known.notes.append(
            f"model {label!r}: {len(to_fetch)} files are downloaded from the hub: {listing(to_fetch, limit=3)}"
        )
    return HubCheckpoint(
        label, known.source, known.tensors, files, [], config=read_config(folder / "config.json"), folder=folder,
        reference=reference, revision=commit, notes=known.notes, shards=shards,
    )  # fmt: skip


def _header(reference: str, commit: str, shard: str, file: Path, number: int) -> Header:
    """The header of a shard, from the cache where it is there, else by range requests."""
    if file.exists():
        return read_header(file, buffer=number)
    from huggingface_hub import hf_hub_url

    url = hf_hub_url(reference, shard, revision=commit)
    with _explained(reference, commit, f"reading the header of {shard}"):
        return read_remote_header(url, f"{reference}/{shard} on the hub", buffer=number)


def _from_cache(reference: str, revision: str | None, label: str, why: str, cause: Exception | None) -> Checkpoint:
    from huggingface_hub import constants, try_to_load_from_cache

    cached = [try_to_load_from_cache(reference, name, revision=revision) for name in _LANDMARKS]
    folder = next((Path(path).parent for path in cached if isinstance(path, str)), None)
    fetch = (
        f"would have fetched {constants.ENDPOINT}/{reference} at revision {revision or 'main'}: config.json, "
        "model.safetensors or its index with the shards it names, tokenizer files; run `hf download "
        f"{reference}` where there is a connection, or give a folder"
    )
    if folder is None:
        raise FileNotFoundError(
            f"{reference}: no folder or file of that name; {why}, and the hub's cache {constants.HF_HUB_CACHE} does "
            "not "
            f"hold it; {fetch}"
        ) from cause
    try:
        checkpoint = open_folder(folder, label=label)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{reference}: {why}, and the cache holds only a part: {error}; {fetch}") from cause
    checkpoint.source = f"{reference}@{revision}" if revision else reference
    checkpoint.reference, checkpoint.revision = reference, folder.name
    return checkpoint


def _matches(name: str, pattern: str) -> bool:
    """Whether a path in the repository fits a pattern part by part, so that `*.py` means the top folder only."""
    parts, patterns = name.split("/"), pattern.split("/")
    return len(parts) == len(patterns) and all(map(fnmatchcase, parts, patterns))


class _UnreachableError(OSError):
    """The hub cannot be reached, or does not work; its cache may still help."""


@contextmanager
def _explained(reference: str, revision: str | None, doing: str) -> Iterator[None]:
    """Turns huggingface_hub's errors into ours, which say what was done and what to do."""
    from huggingface_hub import constants, errors

    what = f"{reference}: {doing} at {constants.ENDPOINT}"
    try:
        yield
    except errors.GatedRepoError as error:
        raise PermissionError(f"{what}: access is gated; accept its terms on the hub, then `hf auth login`") from error
    except errors.RepositoryNotFoundError as error:
        raise FileNotFoundError(
            f"{what}: no such model on the hub, or a private one (log in with `hf auth login`); a folder or file of "
            "that "
            "name does not exist either"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise FileNotFoundError(f"{what}: the model has no revision {revision!r}") from error
    except errors.HFValidationError as error:
        raise ValueError(f"{reference!r} is neither a path that exists nor a hub id: {error}") from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        kind = _UnreachableError if status >= 500 or status == 429 else OSError
        raise kind(f"{what}: the hub answered {status}: {str(error).splitlines()[0]}") from error
    except Exception as error:
        if is_transport_error(error) or isinstance(error, errors.LocalEntryNotFoundError):
            raise _UnreachableError(f"{what}: the hub cannot be reached ({type(error).__name__}: {error})") from error
        raise
