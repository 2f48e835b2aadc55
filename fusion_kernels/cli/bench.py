"""Declares the command `bench`: which kernels to measure, where, and how the results are shown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fusion_kernels.cli.arguments import UsageError
from fusion_kernels.cli.options import complete_method
from fusion_kernels.cli.output import print_json
from fusion_kernels.errors import listing, suggest

if TYPE_CHECKING:
    from fusion_kernels.bench import Outcome, Settings

ALL = "all"
SCALES = {"k": 10**3, "m": 10**6, "g": 10**9}
QUICK = {"rounds": 2, "torch_rounds": 1}

Words = list[str] | None  # an option that may be repeated, each time with several words between commas


def bench(
    method: Annotated[
        Words, typer.Option(help="Methods to measure. [default: all]", autocompletion=complete_method)
    ] = None,
    op: Annotated[Words, typer.Option(help="Operations of fusion_kernels.ops. [default: all]")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1 or emulated, which checks and times nothing.")] = "cpu",
    dtype: Annotated[Words, typer.Option(help="BF16, F32, F16, F64, F8_E4M3, F8_E5M2. [default: BF16,F32]")] = None,
    models: Annotated[Words, typer.Option("-k", "--models", help="Fine-tunes beside the base. [default: 3]")] = None,
    size: Annotated[
        Words, typer.Option(help="Elements of each tensor, like 16M. [default: the last-level cache full]")
    ] = None,
    isa: Annotated[Words, typer.Option(help="Instruction sets. [default: every one this processor has]")] = None,
    threads: Annotated[Words, typer.Option(help="How many at once. [default: 1 and all cores]")] = None,
    rounds: Annotated[int | None, typer.Option(min=2, help="Of every contender. [default: 7]")] = None,
    torch_rounds: Annotated[int | None, typer.Option(min=0, help="Of torch; 0 leaves it out. [default: 7]")] = None,
    torch_budget: Annotated[
        float | None, typer.Option(min=0, help="Seconds at one point, then torch stops. [default: 200]")
    ] = None,
    compile: Annotated[
        bool, typer.Option("--compile/--no-compile", help="Compare with torch.compile, which takes long to compile.")
    ] = True,
    quick: Annotated[
        bool, typer.Option("--quick", help="Tiny tensors, two rounds: does it run? The figures mean nothing.")
    ] = False,
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for JSON, Markdown and picture.")] = Path(
        "fusion-kernels-bench"
    ),
    json: Annotated[bool, typer.Option("--json", help="Print the outcome, or the error, as JSON.")] = False,
    traceback: Annotated[bool, typer.Option("--traceback", help="Show where an error came from.")] = False,
) -> int:
    """Measure kernels: GB/s, share of a copy, ratio to torch, results checked in the same run.

    Everything takes hours; options narrow it down, and take several values with commas or repeated. Needs
    pip install 'fusion_kernels[bench]'. Exit code 1 if a result is wrong.

    Examples:

    \b
    fusion-kernels bench --quick
    fusion-kernels bench --method ties,linear --dtype BF16 --out results
    fusion-kernels bench --op all --no-compile
    fusion-kernels bench --method ties -k 2,3,4,8 --size 16M,64M --isa avx2 --threads 2
    fusion-kernels bench --device cuda --method ties --size 1G
    fusion-kernels bench --device emulated
    """
    from fusion_kernels.bench.runner import check_packages, run

    check_packages()
    typed = {"rounds": rounds, "torch_rounds": torch_rounds, "torch_budget": torch_budget}
    others = (QUICK if quick else {}) | {name: value for name, value in typed.items() if value is not None}
    settings = to_settings(
        method=method, op=op, device=device, dtype=dtype, models=models, size=size, isa=isa, threads=threads,
        others={"compile": compile, "quick": quick, "out": out, **others},
    )  # fmt: skip
    outcome = run(settings)
    _print(outcome, json=json)
    return 1 if outcome.failures else 0


def to_settings(
    *, method: Words, op: Words, device: str, dtype: Words, models: Words, size: Words, isa: Words, threads: Words,
    others: dict[str, Any],
) -> Settings:  # fmt: skip
    """What was typed as the settings of a run; what was not typed stays the default."""
    from fusion_kernels._native import native
    from fusion_kernels.bench.settings import PREFIX, Settings, entries
    from fusion_kernels.bench.tensor_sets import TORCH_DTYPES

    known = entries()
    methods = [name for name in known if not name.startswith(PREFIX)]
    operations = [name.removeprefix(PREFIX) for name in known if name.startswith(PREFIX)]
    chosen = _chosen(method, methods, "--method")
    chosen += [f"{PREFIX}{name}" for name in _chosen(op, operations, "--op")]
    given: dict[str, Any] = {
        "entries": tuple(chosen),
        "dtypes": tuple(_chosen([word.upper() for word in dtype] if dtype else None, list(TORCH_DTYPES), "--dtype")),
        "models": tuple(_count(word, "--models") for word in _words(models)),
        "sizes": tuple(_count(word, "--size") for word in _words(size)),
        "instruction_sets": tuple(_chosen(isa, list(native().instruction_sets()), "--isa")),
        "threads": tuple(_count(word, "--threads") for word in _words(threads)),
    }
    return Settings(device=device, **{name: value for name, value in given.items() if value}, **others)


def _words(typed: Words) -> list[str]:
    """A name that is known may have a comma in it."""
    return [part.strip() for word in typed or () for part in word.split(",") if part.strip()]


def _chosen(typed: Words, known: Sequence[str], option: str) -> list[str]:
    words = [word for whole in typed or () for word in ([whole] if whole in known else _words([whole]))]
    if ALL in words:
        return list(known)
    for word in words:
        if word not in known:
            raise UsageError(
                f"{option} {word}: expected {ALL} or some of {listing(known, limit=30)}.{suggest(word, known)}"
            )
    return list(dict.fromkeys(words))


def _count(word: str, option: str) -> int:
    """16M is 16,000,000."""
    number, scale = (word[:-1], SCALES[word[-1].lower()]) if word[-1].lower() in SCALES else (word, 1)
    try:
        count = float(number) * scale
    except ValueError:
        count = 0.0
    if not 1 <= count < 2**40 or count != int(count):
        raise UsageError(f"{option} {word}: a whole number of at least 1 is expected, like 3 or 16M")
    return int(count)


def _print(outcome: Outcome, *, json: bool) -> None:
    if json:
        print_json({
            "files": outcome.files, "notes": outcome.notes, "failures": outcome.failures, "markdown": outcome.markdown
        })  # fmt: skip
        return
    print(outcome.markdown, end="")
    for note in outcome.notes:
        print(f"note: {note}")
    for failure in outcome.failures:
        print(f"wrong: {failure}")
    print(*outcome.files, sep="\n")
