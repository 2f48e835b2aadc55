"""Words and tables for the devices that kernels were measured on, and for the registers they take."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fusion_kernels.bench.tables import device_name, kind_of
from fusion_kernels.bench.wording import in_order, table, unique

Result = dict[str, Any]
Row = dict[str, Any]

FOLDS = ("linear", "task_arithmetic", "ties-fold-only", "trimmed_mean", "median", "passthrough")
DTYPE = "BF16"
NOT_MEASURED = "not measured"


def device_table(results: Iterable[Result]) -> str:
    """A line for each device: its folds, the thresholds and ties in bf16, or that it was only emulated."""
    kernels = [r for r in results if r["benchmark"] == "kernels" and not r["quick"]]
    lines = [
        _device([r for r in kernels if device_name(r) == name], name)
        for name in unique(device_name(r) for r in kernels)
    ]
    head = ["device", "date, commit", "folds, of copy", "select", "ties", "torch / ties", "checked"]
    return table(head, lines) if lines else ""


def _device(found: list[Result], name: str) -> list[str]:
    kind, dates = kind_of(found[0]), unique(f"{r['machine']['date']}, {r['machine']['commit']}" for r in found)
    rows = [row for result in found for row in result["rows"]]
    methods = {row["entry"] for row in rows if not row["entry"].startswith("ops.")}
    checked = f"{len(methods & _methods(rows))} methods, {', '.join(unique(row['dtype'] for row in rows))}"
    if kind == "emulated":
        return [name, "; ".join(dates), *["emulated only"] * 4, checked]
    threads = max(row["threads"] for row in rows)
    shown = {}
    for row in rows:  # the best instruction set comes first
        if row["threads"] == threads and row["dtype"] == DTYPE:
            shown.setdefault(row["entry"], row)
    shares = [100 * shown[entry]["share_of_copy"]["median"] for entry in FOLDS if entry in shown]
    label = found[0]["machine"]["processor"] + f", {threads} threads" if kind == "cpu" else name
    ties = shown.get("ties", {})
    return [
        label, "; ".join(dates),
        f"{min(shares):.0f}–{max(shares):.0f} %" if shares else NOT_MEASURED,
        _rate(shown.get("select", {}), "selected_per_second_and_core", 1e9 / max(1, threads), "{:.1f} G elements/s"),
        _rate(ties, "gigabytes_per_second", 1, "{:.1f} GB/s"),
        _rate(ties, "torch_over_ours", 1, "{:.1f}"),
        checked,
    ]  # fmt: skip


def _methods(rows: list[Row]) -> set[str]:
    return {row["method"] for row in rows}


def _rate(row: Row, name: str, unit: float, written: str) -> str:
    return written.format(row[name]["median"] / unit) if name in row else NOT_MEASURED


def register_section(results: Iterable[Result]) -> list[str]:
    """Registers a thread of each kernel, as the compiler says; nothing where they were not read."""
    return [part for result in results if result["benchmark"] == "sass" for part in _registers(result)]


def _registers(result: Result) -> list[str]:
    paths = unique(_path(fold) for fold in result["folds"])
    numbers = {(fold["method"], _path(fold)): _number(fold) for fold in result["folds"]}
    rows = [
        [method, *(numbers.get((method, path), "") for path in paths)]
        for method in in_order({fold["method"] for fold in result["folds"]})
    ]
    others = ", ".join(f"{other['kernel']} {_number(other)}" for other in result["others"])
    return [
        "## Registers",
        f"Of a thread, for {result['architecture']}, by nvcc {result['nvcc']}; `make check-sass` reads them and asks "
        "of every fold kernel loads and stores of 128 bits and no register in local memory (but of `combine` over any "
        "number of models, with the bytes it has there), and of every kernel no fused multiply-add beside those of "
        "divisions and square roots. *bf16*: models, base and result; *any*: formats in any mix; K models, or any "
        "number.",
        table(["method", *paths], rows),
        f"Other kernels: {others}.",
    ]


def _path(fold: dict[str, Any]) -> str:
    of = "" if fold["compute"] == "f32" else ", in f64"
    return f"{fold['format']}{of}, K {'any' if fold['models'] == 0 else fold['models']}"


def _number(kernel: dict[str, Any]) -> str:
    return f"{kernel['registers']}" + (f" + {kernel['stack']} B" if kernel["stack"] else "")
