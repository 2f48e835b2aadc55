"""Debian's packages as data: files they hold, and every package's one-line description with its section."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from fusion_stack.suite.cache import publish, sha256_of
from fusion_stack.suite.fetch import UnavailableError

WORDNET_VERBS_SHA256 = "adcf43e35b581e8036d8b5a52d63d9cd3d3b4870b2720d3c03c799df44777bc2"  # data.verb of WordNet 3.0
FEWEST_PACKAGES = 5000  # an apt that never ran `update` knows only what is installed
PATIENCE = 120  # seconds for one apt command


def wordnet_verbs(cache: Path) -> Path:
    """WordNet 3.0's data.verb, from the package wordnet-base. Raises UnavailableError."""
    kept = cache / "wordnet-3.0" / "data.verb"
    if kept.is_file() and sha256_of(kept) == WORDNET_VERBS_SHA256:
        return kept
    member = "usr/share/wordnet/data.verb"
    return _extracted("wordnet-base", {member: WORDNET_VERBS_SHA256}, kept.parent) / "data.verb"


def package_files(cache: Path, package: str, members: Mapping[str, str | None]) -> Path:
    """A folder with files of a package, taken once so that later runs see the same data.

    members: {path in the package: its SHA-256, or None where any version of it will do}; in the folder they lie side by
        side. Raises UnavailableError.
    """
    kept = cache / "debian" / package
    if all(_is(kept / Path(member).name, digest) for member, digest in members.items()):
        return kept
    return _extracted(package, members, kept)


def package_records(cache: Path) -> Path:
    """A snapshot of apt's package records, taken once so that later runs see the same data. Raises UnavailableError."""
    kept = cache / "debian-packages" / "available.txt"
    if kept.is_file():
        return kept
    with _apt() as apt, publish(kept.parent) as unfinished:
        records = apt("apt-cache", "dumpavail")
        wanted = ("Package:", "Section:", "Description:", "Description-en:")
        lines = [line for line in records.splitlines() if not line or line.startswith(wanted)]
        (unfinished / "available.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return kept


def _extracted(package: str, members: Mapping[str, str | None], target: Path) -> Path:
    with _apt() as apt, publish(target) as unfinished, tempfile.TemporaryDirectory() as scratch:
        apt("apt-get", "download", package, folder=scratch)
        (archive,) = Path(scratch).glob("*.deb")
        apt("dpkg-deb", "--extract", archive.name, "unpacked", folder=scratch)
        for member, digest in members.items():
            file = Path(scratch) / "unpacked" / member
            if not _is(file, digest):
                pinned = "" if digest is None else " the suite is pinned to"
                raise UnavailableError(f"{archive.name} does not hold the {file.name}{pinned}")
            shutil.copyfile(file, unfinished / file.name)
    return target


def _is(file: Path, digest: str | None) -> bool:
    return file.is_file() and (digest is None or sha256_of(file) == digest)


class _Apt:
    """Runs apt's read-only commands, in English and without waiting for ever."""

    def __init__(self, options: list[str]) -> None:
        self.options = options

    def __call__(self, program: str, *arguments: str, folder: str | Path | None = None) -> str:
        options = self.options if program.startswith("apt") else []
        environment = {**os.environ, "LC_ALL": "C"}
        command = [program, *options, *arguments]
        try:
            done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            raise UnavailableError(f"`{program} {arguments[0]}` did not answer within {PATIENCE} s") from None
        if done.returncode:
            complaints = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
            raise UnavailableError(f"`{program} {arguments[0]}` failed: {complaints[-1]}")
        return done.stdout.decode(errors="replace")


@contextmanager
def _apt() -> Iterator[_Apt]:
    """An apt that knows the archive: the system's lists if it has them, else lists fetched into a temporary folder.

    The private lists need no administrator and leave the system's own state alone.
    """
    missing = [name for name in ("apt-get", "apt-cache", "dpkg-deb") if shutil.which(name) is None]
    if missing:
        raise UnavailableError(f"{missing[0]} is not on this machine")
    patient = ["-q", "-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=20"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        patient += ["-o", "APT::Sandbox::User=root"]  # else apt warns that its own user cannot write to our folder
    system = _Apt(patient)
    if system("apt-cache", "pkgnames").count("\n") >= FEWEST_PACKAGES:
        yield system
        return
    with tempfile.TemporaryDirectory() as scratch:
        for name in ("state/lists/partial", "cache/archives/partial"):
            (Path(scratch) / name).mkdir(parents=True)
        private = ["-o", f"Dir::State={scratch}/state", "-o", f"Dir::Cache={scratch}/cache"]
        apt = _Apt([*patient, *private, "-o", "Dir::State::status=/var/lib/dpkg/status"])
        apt("apt-get", "update")
        if apt("apt-cache", "pkgnames").count("\n") < FEWEST_PACKAGES:
            raise UnavailableError("apt reached no archive of packages")
        yield apt
