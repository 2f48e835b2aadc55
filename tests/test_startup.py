"""What starting costs: the modules each step loads, and a generous bound on its time over bare Python."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_models import tiny_checkpoint

HEAVY = {"numpy", "torch", "pydantic", "yaml", "huggingface_hub", "rich", "typer", "transformers", "safetensors"}
ROUNDS = 7


def loaded_by(statement: str, cwd: Path) -> set[str]:
    """Top-level modules loaded after running `statement`."""
    script = f"{statement}\nimport sys; print(' '.join(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return {name.split(".")[0] for name in done.stderr.split()}


def seconds_over_bare_python(statement: str, cwd: Path) -> float:
    """The least of several runs, less the least of bare Python's between them: a busy machine shows least there."""

    def once(text: str) -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", text], cwd=cwd, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - start

    pairs = [(once(statement), once("pass")) for _ in range(ROUNDS)]
    return min(slow for slow, _ in pairs) - min(bare for _, bare in pairs)


IMPORT = "import fusion_kernels"
HELP = "from fusion_kernels.cli import main; main(['--help'])"
MERGE = (
    "import fusion_kernels, sys\n"
    "fusion_kernels.merge(['math', 'code'], method='linear', weight=0.5, output='OUT', overwrite=True)"
)
RECIPE = (
    "import sys\nfrom fusion_kernels.cli import main\n"
    "assert main(['merge', 'recipe.yml', 'OUT', '--overwrite', '--json']) == 0"
)


@pytest.fixture
def models(tmp_path):
    for seed, name in enumerate(("math", "code")):
        tiny_checkpoint(tmp_path / name, seed)
    (tmp_path / "recipe.yml").write_text(
        "merge_method: linear\nparameters: {weight: 0.5}\nmodels:\n  - model: ./math\n  - model: ./code\n"
    )
    return tmp_path


def test_import_loads_nothing_else(tmp_path):
    assert loaded_by(IMPORT, tmp_path) & HEAVY == set()


def test_help_loads_typer_alone(tmp_path):
    assert loaded_by(HELP, tmp_path) & HEAVY == {"typer"}


def test_merge_from_disk_loads_what_it_needs(models):
    assert loaded_by(MERGE, models) & HEAVY <= {"yaml"}
    # Newer versions of typer convert options with pydantic; the package itself imports none.
    assert loaded_by(RECIPE, models) & HEAVY <= {"typer", "yaml", "pydantic"}


@pytest.mark.alone
@pytest.mark.parametrize(
    ("statement", "limit"), [(IMPORT, 0.150), (HELP, 0.400), (MERGE, 0.250)], ids=["import", "help", "merge"]
)
def test_start_is_quick(models, statement, limit):
    assert seconds_over_bare_python(statement, models) <= limit
