"""Words and tables for what was measured of kernels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fusion_kernels.bench.aims import aims_table
from fusion_kernels.bench.wording import in_order, machine_line, table, times, unique

Result = dict[str, Any]
Row = dict[str, Any]

BOUND = 0.8  # of a roof: from here on the kernel is bound by it

INTRODUCTION = (
    "Tensors in memory, of {sizes} elements; {models} models and, where the method takes one, a base. The tensors of "
    "one call are together at least {rotation:.1f} times the last-level cache ({cache:g} MiB) and every call starts "
    "at another, so none is served from it. GB/s counts the bytes a method reads and writes, as often as it does "
    "(*passes*: these bytes over those of all tensors once). *Of copy*: share of the fastest copy of memory on as many "
    "threads, which counts its bytes the same way and runs in every round: {copies}. *In cache*: what the same kernel "
    "moves where the tensors fit in a quarter of the cache. *Bound by*: memory where at least {bound:.0f} % of the "
    "copy is reached, arithmetic where at least {bound:.0f} % of the rate in cache is, else both. {torch}"
)
ON_A_GPU = (
    "Tensors in the GPU's memory, of {sizes} elements; {models} models and, where the method takes one, a base. GB/s "
    "counts every tensor's bytes once, however often a method reads them, and times are those of events on the stream. "
    "*Of copy*: share of a copy within that memory, which counts its bytes as read and as written and runs in every "
    "round: {copies}. {torch}"
)
TORCH = (
    "*torch*: time of the same written in torch (`fusion_kernels/bench/torch_expressions.py` and `operations.py`: "
    "float32 arithmetic, memory as torch allocates it, the same tensors, as many threads) over the kernel's, "
    "*torch.compile* of the same compiled. The contenders alternate, {rounds} rounds (of torch as many as *pairs*); "
    "shares and ratios are taken within a round; one number is the median, two are minimum / median. Entries that "
    "begin with *ops.* are functions of `fusion_kernels.ops`, on the best instruction set, and allocate their result "
    "as torch does. Every result was checked in the same run: every instruction set and number of threads writes the "
    "reference build's bits, and on a sample these are what torch gives."
)
EMULATED = (
    "Emulated only: every thread of a kernel ran on the processor. The results are the processor's, bit for bit; times "
    "would mean nothing and are not taken. Checked: {entries}; {dtypes}; {models} models."
)
BY_ORACLE = " On a sample they are the oracle's bits."


def kernel_section(results: Iterable[Result]) -> list[str]:
    """The part of the benchmarks' page about kernels; nothing where there are no results."""
    tables = kernel_tables([r for r in results if r["benchmark"] == "kernels"])
    return ["## Kernels", *tables] if tables else []


def kernel_tables(results: list[Result]) -> list[str]:
    """For each device what was measured, then a table for each number of threads, dtype, K and size."""
    parts: list[str] = []
    for name in unique(device_name(r) for r in results):
        found = [r for r in results if device_name(r) == name]
        rows = [row for result in found for row in result["rows"]]
        if any(result["quick"] for result in found):
            parts.append("**Quick run: tiny tensors that fit in the cache, too few rounds; the figures mean nothing.**")
        parts.append(_introduction(found, rows))
        for threads, dtype, models, size in sorted({_group(row) for row in rows if not row.get("emulated")}):
            some = [row for row in rows if _group(row) == (threads, dtype, models, size)]
            title = f"### {dtype}{_on(threads, name)}"
            if len({(other[2], other[3]) for other in map(_group, rows) if other[1] == dtype}) > 1:
                title += f", K = {models}, {size:,} elements"
            copy = max(
                (row["copy_gigabytes_per_second"]["median"] for row in some if "share_of_copy" in row), default=0
            )
            parts.append(title + (f", copy {copy:.1f} GB/s" if copy else ""))
            parts += [_table(some), *_selected(some), *_kernels(some), *_failed(some)]
        if kind_of(found[0]) == "cuda":
            parts.append(aims_table(rows))
        parts.append("\n".join(f"- {line}" for line in unique(_machine_line(r) for r in found)))
    return [part for part in parts if part]


def kind_of(result: Result) -> str:
    """cpu, cuda or emulated."""
    return str(result.get("device", {"kind": "cpu"})["kind"])


def device_name(result: Result) -> str:
    """The device, and what tells it from others of its kind: a processor's instruction sets."""
    machine = result["machine"]
    if kind_of(result) == "cpu":
        return f"{machine['processor']} {' '.join(machine['instruction_sets'])}"
    return str(result["device"]["name"])


def _group(row: Row) -> tuple[int, str, int, int]:
    size = row["elements"] // row["tensors"]
    return row["threads"], row["dtype"], row["of"]["models"] if "of" in row else 0, size


def _on(threads: int, name: str) -> str:
    return f", {name}" if threads == 0 else ", one core" if threads == 1 else f", {threads} threads"


def _machine_line(result: Result) -> str:
    on = "" if kind_of(result) == "cpu" else f"{device_name(result)}; "
    commit = result["machine"]["commit"]
    return f"{on}{machine_line(result['machine'])}" + (f"; commit {commit}" if commit else "")


def _introduction(found: list[Result], rows: list[Row]) -> str:
    counts, sizes = sorted({row["models"] for row in rows}), sorted({_group(row)[3] for row in rows})
    models = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else str(counts[0])
    if kind_of(found[0]) == "emulated":
        entries, dtypes = in_order({r["method"] for r in found}), unique(row["dtype"] for row in rows)
        return EMULATED.format(entries=", ".join(entries), dtypes=", ".join(dtypes), models=models)
    ways = {
        f"{copy['way']}{_on(int(threads), '').rstrip(', ').replace(', ', ' on ')}"
        for result in found
        for threads, copy in result["copy"].items()
    }
    rounds = " or ".join(str(count) for count in sorted({row["rounds"] for row in rows}))
    cache = found[0]["cache_bytes"]
    oracle = BY_ORACLE if any(row["check"].get("oracle_elements") for row in rows) else ""
    return (INTRODUCTION if kind_of(found[0]) == "cpu" else ON_A_GPU).format(
        sizes=" or ".join(f"{size:,}" for size in sizes),
        models=models,
        rotation=min(row["bytes_touched"] for row in rows) / cache,
        cache=cache / 2**20,
        copies=", ".join(sorted(ways)),
        bound=100 * BOUND,
        torch=TORCH.format(rounds=rounds) + oracle,
    )


def bound_by(row: Row) -> str:
    """Which roof a kernel is under: that of memory, that of its own arithmetic, or both."""
    rate = row["gigabytes_per_second"]["median"]
    if row["share_of_copy"]["median"] >= BOUND:
        return "memory"
    return "arithmetic" if rate >= BOUND * row["in_cache_gigabytes_per_second"]["median"] else "both"


def best_rows(rows: list[Row]) -> dict[str, dict[str, Row]]:
    """Entry -> instruction set -> row, the fastest instruction set first; entries in the order of tables."""
    found: dict[str, dict[str, Row]] = {}
    for row in rows:
        found.setdefault(row["entry"], {})[row["instruction_set"]] = row
    return {entry: found[entry] for entry in in_order(found)}


def _table(rows: list[Row]) -> str:
    entries = best_rows([row for row in rows if "share_of_copy" in row])
    if not entries:
        return ""
    slower = unique(isa for by_isa in entries.values() for isa in list(by_isa)[1:])
    best = " or ".join(unique(next(iter(by_isa)) for by_isa in entries.values()))
    head = ["method", "passes", f"GB/s, {best}", "of copy", "in cache", "bound by", "G elements/s"]
    lines = []
    for entry, by_isa in entries.items():
        row = next(iter(by_isa.values()))
        lines.append([
            entry, f"{row['passes']:.2f}", f"{row['gigabytes_per_second']['median']:.1f}",
            _percent(row["share_of_copy"]), *_cached(row), f"{row['elements_per_second']['median'] / 1e9:.2f}",
            _ratio(row, "torch"), _ratio(row, "torch_compile"), str(row.get("torch_rounds", 0)),
            *(_other(by_isa.get(isa)) for isa in slower),
        ])  # fmt: skip
    head += ["torch", "torch.compile", "pairs"]
    return table([*head, *(f"{isa}: GB/s, of copy" for isa in slower)], lines)


def _cached(row: Row) -> list[str]:
    rate = row.get("in_cache_gigabytes_per_second")
    return [f"{rate['median']:.1f}", bound_by(row)] if rate else ["", ""]


def _ratio(row: Row, name: str) -> str:
    ratio = row.get(f"{name}_over_ours")
    return times(ratio) if ratio else "failed" if f"{name}_failure" in row else "not run"


def _percent(share: dict[str, float]) -> str:
    return " / ".join(f"{100 * share[key]:.0f}" for key in ("min", "median")) + " %"


def _other(row: Row | None) -> str:
    return f"{row['gigabytes_per_second']['median']:.1f}, {_percent(row['share_of_copy'])}" if row else ""


def _selected(rows: list[Row]) -> list[str]:
    rates = [
        f"{row['selected_per_second_and_core']['median'] / 1e9:.2f} G elements/s"
        + (" per core" if row["threads"] else "")
        + f" (best {row['selected_per_second_and_core']['max'] / 1e9:.2f}) with {row['instruction_set']}"
        + (f", {_percent(row['selected_share_of_copy'])} of copy" if "selected_share_of_copy" in row else "")
        for row in rows
        if "selected_per_second_and_core" in row
    ]
    what = "Finding the thresholds (ties at density 0.2 less ties at density 1, within each round)"
    return [f"{what}: {', '.join(rates)}."] if rates else []


def _kernels(rows: list[Row]) -> list[str]:
    """What each kernel of ties takes of a merge, and the share of a copy that the pass over the deltas reaches."""
    said = []
    for row in rows:
        if row["entry"] == "ties" and row.get("kernel_seconds"):
            copy = row["copy_gigabytes_per_second"]["median"] * 1e9
            read = 2 * row["models"] * row["bytes_touched"] / (row["models"] + 2)  # each model, each time with the base
            for name, taken in sorted(row["kernel_seconds"].items(), key=lambda pair: -pair[1]):
                share = f", {100 * read / taken / copy:.0f} % of copy" if name == "collect_kernel" else ""
                said.append(f"{name} {1e3 * taken / row['tensors']:.3g} ms{share}")
    return [f"Kernels of ties, by torch's profiler: {'; '.join(said)}."] if said else []


def _failed(rows: list[Row]) -> list[str]:
    """Why torch did not take part, once for each reason."""
    said = [
        f"{label}, {row['entry']}: {row[f'{name}_failure']}"
        for name, label in (("torch", "torch"), ("torch_compile", "torch.compile"))
        for row in rows
        if f"{name}_failure" in row
    ]
    return ["\n".join(f"- {line}" for line in said)] if said else []
