"""Words and tables for what bench_kernels.py measured."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from wording import in_order, machine_line, table, times, unique

Result = dict[str, Any]
Row = dict[str, Any]

BOUND = 0.8  # of a roof: from here on the kernel is bound by it

INTRODUCTION = (
    "Tensors in memory, of {rows} elements; {models} models and, where the method takes one, a base. The tensors of "
    "one call are together at least {rotation:.1f} times the last-level cache ({cache:g} MiB) and every call starts "
    "at another, so none is served from it. GB/s counts the bytes a method reads and writes, as often as it does "
    "(*passes*: these bytes over those of all tensors once). *Of copy*: share of the fastest copy of memory on as many "
    "threads, which counts its bytes the same way and runs in every round: {copies}. *In cache*: what the same kernel "
    "moves where the tensors fit in a quarter of the cache. *Bound by*: memory where at least {bound:.0f} % of the "
    "copy is reached, arithmetic where at least {bound:.0f} % of the rate in cache is, else both. *torch*: time of "
    "the same method written in torch (`benchmarks/torch_expressions.py`: float32 arithmetic, memory as torch "
    "allocates it, the same tensors, as many threads) over the kernel's. The contenders alternate, {rounds} rounds (of "
    "torch as many as *pairs*); shares and ratios are taken within a round; one number is the median, two are minimum "
    "/ median. Every instruction set and number of threads wrote the same bits; on a sample they are the oracle's."
)


def kernel_section(results: Iterable[Result]) -> list[str]:
    """The part of the benchmarks' page about kernels; nothing where there are no results."""
    tables = kernel_tables([r for r in results if r["benchmark"] == "kernels"])
    return ["## Kernels", *tables] if tables else []


def kernel_tables(results: list[Result]) -> list[str]:
    """For each machine what was measured, then a table for each number of threads and dtype."""
    parts: list[str] = []
    for name in unique(_machine(r) for r in results):
        found = [r for r in results if _machine(r) == name]
        rows = [row for result in found for row in result["rows"]]
        if any(result["quick"] for result in found):
            parts.append("**Quick run: tiny tensors that fit in the cache, too few rounds; the figures mean nothing.**")
        parts.append(_introduction(found, rows))
        for threads, dtype in sorted({(row["threads"], row["dtype"]) for row in rows}):
            some = [row for row in rows if (row["threads"], row["dtype"]) == (threads, dtype)]
            copy = max((r["copy_gigabytes_per_second"]["median"] for r in some if "share_of_copy" in r), default=0.0)
            cores = "one core" if threads == 1 else f"{threads} threads"
            parts.append(f"### {dtype}, {cores}" + (f", copy {copy:.1f} GB/s" if copy else ""))
            parts += [_table(some), *_selected(some)]
        parts.append("\n".join(f"- {line}" for line in unique(_machine_line(r["machine"]) for r in found)))
    return [part for part in parts if part]


def _machine(result: Result) -> str:
    return f"{result['machine']['processor']} {' '.join(result['machine']['instruction_sets'])}"


def _machine_line(machine: dict[str, Any]) -> str:
    return f"{machine_line(machine)}; commit {machine['commit']}"


def _introduction(found: list[Result], rows: list[Row]) -> str:
    sizes = sorted({row["elements"] // row["tensors"] for row in rows})
    counts = sorted({row["models"] for row in rows})
    cache = found[0]["cache_bytes"]
    ways = {
        f"{copy['way']} on {threads} thread{'s' if threads != '1' else ''}"
        for result in found
        for threads, copy in result["copy"].items()
    }
    return INTRODUCTION.format(
        rows=" or ".join(f"{size:,}" for size in sizes),
        models=f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else str(counts[0]),
        rotation=min(row["bytes_touched"] for row in rows) / cache,
        cache=cache / 2**20,
        copies=", ".join(sorted(ways)),
        bound=100 * BOUND,
        rounds=" or ".join(str(count) for count in sorted({row["rounds"] for row in rows})),
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
    best = next(iter(next(iter(entries.values()))))
    head = ["method", "passes", f"GB/s, {best}", "of copy", "in cache", "bound by", "G elements/s", "torch", "pairs"]
    lines = []
    for entry, by_isa in entries.items():
        row = next(iter(by_isa.values()))
        torch = row.get("torch_over_ours")
        lines.append([
            entry, f"{row['passes']:.2f}", f"{row['gigabytes_per_second']['median']:.1f}", _percent(row),
            f"{row['in_cache_gigabytes_per_second']['median']:.1f}", bound_by(row),
            f"{row['elements_per_second']['median'] / 1e9:.2f}",
            times(torch) if torch else "not run", str(row.get("torch_rounds", 0)),
            *(_other(by_isa.get(isa)) for isa in slower),
        ])  # fmt: skip
    return table([*head, *(f"{isa}: GB/s, of copy" for isa in slower)], lines)


def _percent(row: Row) -> str:
    return " / ".join(f"{100 * row['share_of_copy'][key]:.0f}" for key in ("min", "median")) + " %"


def _other(row: Row | None) -> str:
    return f"{row['gigabytes_per_second']['median']:.1f}, {_percent(row)}" if row else ""


def _selected(rows: list[Row]) -> list[str]:
    rates = [
        f"{row['selected_per_second_and_core']['median'] / 1e9:.2f} G elements/s per core "
        f"(best {row['selected_per_second_and_core']['max'] / 1e9:.2f}) with {row['instruction_set']}"
        for row in rows
        if "selected_per_second_and_core" in row
    ]
    what = "Finding the thresholds (ties at density 0.2 less ties at density 1, within each round)"
    return [f"{what}: {', '.join(rates)}."] if rates else []
