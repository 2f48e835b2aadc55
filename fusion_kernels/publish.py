"""Publishes an output: everything is written to a temporary folder and appears under its name only when complete.

A new or empty target appears by one rename. Into a folder that already holds files, ours are renamed one by one, the
index (else the weights) last; a crash in between can leave a mixture, which is why the report calls that not atomic.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

# Loaders pick weights by these names: `model.safetensors` before the index, or every file of the pattern.
_WEIGHTS = "model*.safetensors*"


class Target:
    """The place a merge writes to: a folder or, if the name ends in `.safetensors`, a single file.

    Symbolic links are resolved first, so what is replaced is the thing pointed to, never the link.
    """

    def __init__(self, output: str | os.PathLike[str]) -> None:
        self.given = str(output)
        self.path = Path(os.path.realpath(os.path.expanduser(output)))
        self.is_file = self.path.suffix == ".safetensors"
        self.exists = os.path.lexists(self.path)
        self.entries = sorted(os.listdir(self.path)) if self.path.is_dir() else []

    @property
    def one_rename(self) -> bool:
        """Whether the output appears at once: a single file, a new folder or an empty one."""
        return self.is_file or not self.exists or (not self.entries and not self._stages_inside)

    @property
    def _stages_inside(self) -> bool:
        # A mount point, or a folder in a parent we may not write to, can only be filled from within.
        if self.is_file or not self.exists:
            return False
        parent = self.path.parent
        return os.stat(parent).st_dev != os.stat(self.path).st_dev or not os.access(parent, os.W_OK | os.X_OK)

    @property
    def staging_parent(self) -> Path:
        """The folder in which the temporary folder is made: on the target's own filesystem."""
        return self.path if self._stages_inside else self.path.parent

    def free_bytes(self) -> int:
        """Bytes free for this user where the output will be staged."""
        usage = os.statvfs(_nearest_existing(self.staging_parent))
        return usage.f_bavail * usage.f_frsize

    def problems(self, *, overwrite: bool, writes: Sequence[str]) -> list[Exception]:
        """Why `writes` (names of the files to come) cannot be published here; empty if they can."""
        found: list[Exception] = []
        name = f"output {self.given}"
        if self.is_file and self.path.is_dir():
            found.append(IsADirectoryError(f"{name} is a folder, but a name ending in .safetensors asks for one file"))
        elif self.is_file and self.exists and not overwrite:
            found.append(FileExistsError(f"{name} already exists; choose another name or pass overwrite=True"))
        elif not self.is_file and self.exists and not self.path.is_dir():
            found.append(NotADirectoryError(f"{name} is a file; name a folder, or a file ending in .safetensors"))
        elif not self.is_file:
            found.extend(self._conflicts(name, overwrite, writes))
        parent = _nearest_existing(self.staging_parent)
        if not parent.is_dir():
            found.append(NotADirectoryError(f"{name}: {parent} is a file, so no folder can be made in it"))
        elif not os.access(parent, os.W_OK | os.X_OK):
            found.append(PermissionError(f"{name}: folder {parent} is not writable; choose another output"))
        elif not self.is_file and self.entries and not os.access(self.path, os.W_OK | os.X_OK):
            found.append(PermissionError(f"{name} is not writable; choose another output"))
        return found

    def _conflicts(self, name: str, overwrite: bool, writes: Sequence[str]) -> list[Exception]:
        visible = [entry for entry in self.entries if not entry.startswith(".")]
        clashes = sorted({write.split("/")[0] for write in writes} & set(visible))
        if visible and not overwrite and (clashes or ".git" not in self.entries):
            some = ", ".join((clashes or visible)[:3]) + (", ..." if len(clashes or visible) > 3 else "")
            return [
                FileExistsError(
                    f"{name} is not empty (it holds {some}); choose another folder, or pass overwrite=True to replace "
                    "the files that the merge writes"
                )
            ]
        stale = sorted({path.name for path in self.path.glob(_WEIGHTS)} - set(writes)) if visible else []
        if stale:
            some = ", ".join(stale[:3]) + (", ..." if len(stale) > 3 else "")
            return [
                FileExistsError(
                    f"{name} holds weights that this merge does not replace ({some}) and that loaders would mix "
                    "up with its own; delete them or choose another folder"
                )
            ]
        return []


class Staging:
    """A temporary folder beside the target, removed on leaving the `with` block unless it was published."""

    def __init__(self, target: Target, *, durable: bool = False) -> None:
        self.target = target
        self.durable = durable
        self._made: list[Path] = []
        self.folder = target.staging_parent / f".{target.path.name}.tmp-{os.urandom(4).hex()}"

    def __enter__(self) -> Staging:
        parent = self.target.staging_parent
        # Parents we make are remembered, so that a failed merge leaves nothing behind.
        self._made = [path for path in (parent, *parent.parents) if not path.exists()]
        parent.mkdir(parents=True, exist_ok=True)
        self.folder.mkdir()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        if self.folder.exists():
            shutil.rmtree(self.folder, ignore_errors=True)
        if kind is not None:
            for path in self._made:
                with contextlib.suppress(OSError):
                    path.rmdir()

    def publish(self, files: Sequence[str]) -> bool:
        """Give the finished files their names, in this order; True if that was one rename.

        Raises OSError, with the temporary folder's content untouched, if the target has changed since it was checked.
        """
        target = self.target.path
        if self.durable:
            _sync(self.folder, files)
        if self.target.is_file:
            os.replace(self.folder / files[0], target)
        elif self.target.one_rename:
            try:
                os.rename(self.folder, target)  # replaces an empty folder, refuses any other
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
                raise FileExistsError(
                    f"output {self.target.given} was filled by someone else during the merge; nothing was published"
                ) from error
        else:
            for file in files:
                (target / file).parent.mkdir(parents=True, exist_ok=True)
                os.replace(self.folder / file, target / file)
        if self.durable:
            for path in {target if target.is_dir() else target.parent, target.parent}:
                _sync_path(path)
        return self.target.one_rename


def _sync(folder: Path, files: Sequence[str]) -> None:
    for file in files:
        _sync_path(folder / file)
    for path in {(folder / file).parent for file in files} | {folder}:
        _sync_path(path)


def _sync_path(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _nearest_existing(path: Path) -> Path:
    return next(candidate for candidate in (path, *path.parents) if candidate.exists())
