"""What is installed: wheel, editable and source distribution, and a merge with the core dependencies alone."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tiny_models import tiny_checkpoint

ROOT = Path(__file__).resolve().parents[1]
VERSION = importlib.metadata.version("fusion_kernels")
# The build reuses the objects of the one that made this environment.
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
LOCAL = ["--no-deps", "--no-build-isolation"]
# Without the environment's own site-packages, so that only what a test adds is there.
ISOLATED = [sys.executable, "-I", "-S", "-c"]

pytestmark = pytest.mark.alone  # one build folder, and a build takes every core


def run(words: list[str], **options: object) -> str:
    done = subprocess.run(words, capture_output=True, text=True, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run([*PIP, "wheel", *LOCAL, "--wheel-dir", str(folder), str(ROOT)])
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def core_dependencies(tmp_path_factory) -> Path:
    """A folder with links to the declared core dependencies, theirs, and nothing else."""
    folder = tmp_path_factory.mktemp("core")
    waiting, seen = ["fusion_kernels"], set()
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in seen:
            continue
        seen.add(name)
        distribution = importlib.metadata.distribution(name)
        for text in distribution.requires or []:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
        if name == canonicalize_name("fusion_kernels"):
            continue
        for top in {file.parts[0] for file in distribution.files or [] if file.parts[0] not in ("..", "__pycache__")}:
            target = Path(str(distribution.locate_file(top)))
            if not (folder / top).exists():
                (folder / top).symlink_to(target)
    assert not (folder / "torch").exists()
    return folder


def test_wheel_holds_the_package_and_the_extension(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    extension = "_fusion_kernels" + sysconfig.get_config_var("EXT_SUFFIX")
    assert extension in names
    tops = {name.split("/")[0] for name in names}
    assert tops == {extension, "fusion_kernels", "fusion_stack", f"fusion_kernels-{VERSION}.dist-info"}
    ours = {str(path.relative_to(ROOT)) for path in (ROOT / "fusion_kernels").rglob("*.py")}
    assert ours | {"fusion_kernels/py.typed"} <= names
    stack = [path for path in (ROOT / "python").rglob("*") if path.suffix in {".py", ".yaml"}]
    assert {str(path.relative_to(ROOT / "python")) for path in stack} <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_installed_wheel_merges_a_recipe_without_torch(wheel, core_dependencies, tmp_path):
    site = tmp_path / "site"
    run([*PIP, "install", "--no-deps", "--no-index", "--target", str(site), str(wheel)])
    for seed, name in enumerate(("a", "b")):
        tiny_checkpoint(tmp_path / name, seed)
    recipe = "merge_method: linear\nparameters: {weight: 1}\nmodels:\n  - model: a\n  - model: b\n"
    (tmp_path / "recipe.yml").write_text(recipe)
    script = (
        f"import sys; sys.path[:0] = [{str(site)!r}, {str(core_dependencies)!r}]\n"
        "from fusion_kernels.cli import main\n"
        "assert main(['merge', 'recipe.yml', 'OUT']) == 0\n"
        "import fusion_kernels, _fusion_kernels\n"
        "for module in (fusion_kernels, _fusion_kernels):\n"
        f"    assert module.__file__.startswith({str(site)!r}), module.__file__\n"
        f"assert fusion_kernels.__version__ == _fusion_kernels.__version__ == {VERSION!r}\n"
        "try:\n    fusion_kernels.merge(['a', 'b'], method='linear', weight=1)\n"
        "except Exception as error:\n    print(type(error).__name__, error)\n"
        "assert 'torch' not in sys.modules\n"
    )
    printed = run([*ISOLATED, script], cwd=tmp_path)
    assert (tmp_path / "OUT" / "model.safetensors").is_file()
    # A result in memory is torch tensors: the error says what to do without.
    assert "output" in printed.splitlines()[-1]
    assert "torch" in printed.splitlines()[-1]


def test_installed_command_is_there(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        entry_points = archive.read(f"fusion_kernels-{VERSION}.dist-info/entry_points.txt").decode()
    assert "fusion-kernels=fusion_kernels.cli:main" in entry_points.replace(" ", "")
    command = Path(sys.executable).with_name("fusion-kernels")
    assert run([str(command), "--version"], cwd=tmp_path) == f"fusion-kernels {VERSION}\n"


def test_editable_install_runs_the_working_tree(core_dependencies, tmp_path):
    run([*PIP, "install", *LOCAL, "--ignore-installed", "--prefix", str(tmp_path), "--editable", str(ROOT)])
    site = sysconfig.get_path("platlib", vars={"base": str(tmp_path), "platbase": str(tmp_path)})
    script = (
        f"import sys, site; site.addsitedir({site!r}); sys.path.append({str(core_dependencies)!r})\n"
        "import fusion_kernels\n"
        "fusion_kernels.methods()\n"
        "import _fusion_kernels\n"
        "print(fusion_kernels.__file__, _fusion_kernels.__file__)"
    )
    package, extension = run([*ISOLATED, script], cwd=tmp_path).split()
    assert Path(package).parent == ROOT / "fusion_kernels"
    assert Path(extension).is_relative_to(tmp_path)


def test_source_distribution_can_be_built_from(tmp_path):
    build = f"from scikit_build_core.build import build_sdist; build_sdist({str(tmp_path)!r})"
    run([sys.executable, "-c", build], cwd=ROOT)
    (path,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    needed = [path for folder in ("csrc", "cmake", "fusion_kernels") for path in (ROOT / folder).rglob("*")]
    needed = [path for path in needed if path.is_file() and "__pycache__" not in path.parts]
    assert {"CMakeLists.txt", "pyproject.toml", "LICENSE", "README.md"} <= names
    assert {str(path.relative_to(ROOT)) for path in needed} <= names


def test_one_version_everywhere():
    import fusion_kernels

    assert fusion_kernels.__version__ == VERSION
    assert f"\nversion: {VERSION}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"version = {{{VERSION}}}" in re.sub(r" +", " ", (ROOT / "docs" / "citing.md").read_text())
