"""Makes benchmarks/README.md, and the tables in the project's README, from the JSON files in benchmarks/results/.

python benchmarks/report.py            # write both
python benchmarks/report.py --check    # fail if either is not what the results say
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from report_devices import device_table, register_section

from fusion_kernels.bench.recording import results_in
from fusion_kernels.bench.tables import kernel_section
from fusion_kernels.bench.wording import in_order, machine_line, megabytes, seconds, table, times, unique

HERE = Path(__file__).resolve().parent
MERGES, DEVICES = "benchmark-table", "device-table"  # between comments of these names in the README

Result = dict[str, Any]


def load(folder: Path) -> list[Result]:
    """All results, merges by size and method first."""
    found = results_in(folder)
    methods = in_order({result["method"] for result in found if "method" in result})

    def order(result: Result) -> tuple[object, ...]:
        if result["benchmark"] == "kernels":
            return 0, methods.index(result["method"])
        if result["benchmark"] == "merge":
            return 1, result["cache"] != "warm", result["model"]["parameters"], methods.index(result["method"])
        return 2, result["benchmark"]

    return sorted(found, key=order)


def merges(results: Iterable[Result], cache: str) -> list[Result]:
    return [r for r in results if r["benchmark"] == "merge" and r["cache"] == cache]


def size(result: Result) -> str:
    return f"{result['model']['parameters'] / 1e9:.2f} B"


def peer_line(peer: dict[str, Any]) -> str:
    return (
        f"mergekit {peer['mergekit']} with torch {peer['torch']} and transformers {peer['transformers']}, "
        f"on {'a GPU' if '--cuda' in peer['options'] else 'the CPU'}, "
        f"defaults, {' '.join(peer['options'])}"
    )


def compared(result: Result) -> list[str]:
    """The columns against mergekit: CPU-seconds, ratio, ratio without start-up, wall, memory."""
    summary = result["summary"]
    if "peer_rounds" not in summary:
        return ["not run"] * 5
    return [
        seconds(summary["cpu"]["peer"]["median"]),
        times(summary["peer_over_ours_cpu"]),
        times(summary["peer_over_ours_cpu_without_startup"]),
        seconds(summary["wall"]["peer"]["median"]),
        megabytes(summary["peak_anonymous"]["peer"]),
    ]


def merge_table(found: list[Result]) -> str:
    head = [
        "method", "parameters", "rounds", "CPU", "wall", "peak memory", "GB/s", "wall ÷ floor",
        "mergekit CPU", "CPU ratio", "without start-up", "mergekit wall", "mergekit peak",
    ]  # fmt: skip
    rows = []
    for result in found:
        summary = result["summary"]
        rounds = f"{len(result['rounds'])}, {summary.get('peer_rounds', 0)}"
        rows.append([
            f"{result['method']}", size(result), rounds,
            seconds(summary["cpu"]["ours"]["median"]), seconds(summary["wall"]["ours"]["median"]),
            megabytes(summary["peak_anonymous"]["ours"]), f"{summary['gigabytes_per_second']:.2f}",
            times(summary["wall_over_floor"]), *compared(result),
        ])  # fmt: skip
    return table(head, rows)


def distance_table(found: list[Result]) -> str:
    rows = []
    for result in found:
        for label, name in (("ours", "fusion_kernels"), ("peer", "mergekit")):
            if (distance := result["check"].get(label)) is not None:
                rows.append([
                    result["method"], size(result), name, f"{distance['elements']:,}",
                    f"{100 * distance['share_differing']:.4g} %", f"{distance['largest']:.3g}",
                    f"{distance['root_mean_square']:.3g}",
                ])  # fmt: skip
    head = ["method", "parameters", "engine", "elements compared", "not correctly rounded", "largest", "rms"]
    return table(head, rows)


def startup_line(found: list[Result]) -> str:
    ours = [result["summary"]["startup_cpu"]["ours"]["median"] for result in found]
    peers = [r["summary"]["startup_cpu"]["peer"]["median"] for r in found if "peer" in r["summary"]["startup_cpu"]]
    line = f"Start-up (the same merge of a 0.1 M-parameter model), CPU: {min(ours):.2f}–{max(ours):.2f} s"
    return f"{line}; mergekit {min(peers):.2f}–{max(peers):.2f} s." if peers else f"{line}."


def setting(result: Result) -> str:
    """The parameters of a merge, and of how many fine-tunes."""
    given = [f"{name} {value:g}" for name, value in result["parameters"].items()]
    return f"{result['method']}: " + ", ".join([*given, f"{result['models']} fine-tune" + "s" * (result["models"] > 1)])


RANDOM = "Where a method draws random numbers, mergekit's are others; its outputs are not compared."


def _only_ours(result: Result) -> bool:
    """Whether mergekit ran and was not compared with the oracle."""
    return "peer_rounds" in result["summary"] and "peer" not in result["check"]


def merge_section(results: list[Result], cache: str) -> list[str]:
    found = merges(results, cache)
    if not found:
        return []
    before = {
        "warm": "Inputs in the page cache, dropped and read into it again before every round: a program that maps "
        "files leaves them there in small pages, which whoever reads them next would pay for.",
        "cold": "Inputs dropped from the page cache before every run (`POSIX_FADV_DONTNEED`), of both sides.",
    }[cache]
    settings = "; ".join(unique(setting(r) for r in found))
    return [
        f"## Whole merges, {cache}",
        f"{before} bf16, Llama-shaped, sharded; {settings}. The programs alternate in one run, their outputs are "
        "deleted between; times are medians, ratios are taken within each round and given as minimum / median. CPU is "
        "user + system of the whole process; peak memory is anonymous memory, sampled every 5 ms; GB/s counts every "
        "input and every output byte once, in the fastest round. *Floor*: `cat` of all inputs to `/dev/null`, "
        "then of one model to new files. *Rounds*: of this engine and the floor, of mergekit.",
        merge_table(found),
        startup_line(found),
        "Distance from the oracle's float64 result rounded once, on sampled tensors of the first round's outputs. "
        "Sampled tensors agree bit for bit with the documented operations"
        + ("." if not any(r["check"]["ours"]["share_undocumented"] for r in found) else ", EXCEPT WHERE STATED.")
        + (f" {RANDOM}" if any(_only_ours(r) for r in found) else ""),
        distance_table(found),
        "\n".join(f"- {line}" for line in unique(machine_line(r["machine"]) for r in found)),
        "\n".join(f"- {line}" for line in unique(peer_line(r["peer"]) for r in found if r["peer"])),
    ]


def limits_section(results: list[Result]) -> list[str]:
    found = {r["benchmark"]: r for r in results if r["benchmark"] not in ("merge", "kernels", "sass")}
    if not found:
        return []
    lines = ["## Limits"]
    if (result := found.get("memory")) is not None:
        lines.append(
            f"One tensor of {result['elements']:,} elements, bf16, base and 3 fine-tunes, "
            f"`--memory-limit {result['memory_limit']}`: peak anonymous memory of the whole process."
        )
        rows = [[m, megabytes(run["peak_anonymous"]), seconds(run["wall"])] for m, run in result["runs"].items()]
        lines.append(table(["method", "peak anonymous memory", "wall"], rows))
    for name, text in (
        ("many-tensors", "{tensors:,} tensors of 4x4, base and 3 fine-tunes, whole merge"),
        ("plan-70b", "A plan for models of {parameters:,} parameters in {shards} files each, base and 3 fine-tunes"),
    ):
        if (result := found.get(name)) is not None:
            lines.append(f"{text.format(**result)}: wall time, minimum and median.")
            rows = [[m, seconds(w["min"]), seconds(w["median"])] for m, w in result["wall"].items()]
            lines.append(table(["method", "minimum", "median"], rows))
    lines.append("\n".join(f"- {line}" for line in unique(machine_line(r["machine"]) for r in found.values())))
    return lines


def readme(results: list[Result]) -> str:
    """The text of benchmarks/README.md."""
    parts = [
        "# Benchmarks",
        "Generated by `benchmarks/report.py` from `benchmarks/results/*.json`; not typed.",
        "```bash\n"
        "fusion-kernels bench --help           # kernels in memory: methods, operations, dtypes, sizes, devices\n"
        "python benchmarks/bench_kernels.py    # the same, compared with the oracles too, into benchmarks/results\n"
        "make check-sass                       # the machine code of the GPU's kernels\n"
        "python benchmarks/bench_merge.py      # whole merges; --help has sizes, rounds, --cold, --mergekit PATH\n"
        "python benchmarks/bench_limits.py     # memory under a limit, tiny tensors, the plan of a 70 B model\n"
        "python benchmarks/report.py           # this page, and the table in the README\n"
        "```",
        *kernel_section(results),
        *merge_section(results, "warm"),
        *merge_section(results, "cold"),
        *limits_section(results),
        *register_section(results),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def block(results: list[Result]) -> str:
    """The short table for the README: the largest warm run of each method, of those with mergekit if there are any."""
    shown = {r["method"]: r for r in sorted(merges(results, "warm"), key=lambda r: r["peer"] is not None)}
    if not shown:
        return ""
    rows = []
    for name in in_order(shown):
        result = shown[name]
        summary = result["summary"]
        cpu, ratio, _, wall, peak = compared(result)
        rows.append([
            result["method"], seconds(summary["wall"]["ours"]["median"]), seconds(summary["cpu"]["ours"]["median"]),
            megabytes(summary["peak_anonymous"]["ours"]), times(summary["wall_over_floor"]), wall, cpu, peak, ratio,
        ])  # fmt: skip
    head = [
        "method", "wall", "CPU", "memory", "wall ÷ floor",
        "mergekit wall", "mergekit CPU", "mergekit memory", "CPU ratio",
    ]  # fmt: skip
    results_shown = list(shown.values())
    peers = unique(peer_line(r["peer"]) for r in results_shown if r["peer"])
    note = (
        f"Merges of bf16 Llama-shaped models, {' and '.join(unique(size(r) for r in results_shown))} parameters, from "
        "a warm page cache to disk; ratios are minimum / median of the rounds, the floor is `cat` of the inputs and of "
        f"one output. {'; '.join(unique(machine_line(r['machine']) for r in results_shown))}. "
        f"{'; '.join(peers)}{'. ' if peers else ''}All results, and how to repeat them: "
        "[benchmarks](benchmarks/README.md)."
    )
    return f"{table(head, rows)}\n\n{note}"


def filled(text: str, results: list[Result]) -> str:
    """The README's text with each table between its two marks."""
    for name, content in ((MERGES, block(results)), (DEVICES, device_table(results))):
        begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        start, stop = text.find(begin), text.find(end)
        if start < 0 or stop < start:
            raise SystemExit(f"README.md lacks the marks {begin} and {end}")
        inside = f"\n{content}\n" if content else "\n"
        text = text[:start] + begin + inside + text[stop:]
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=HERE / "results")
    parser.add_argument("--page", type=Path, default=HERE / "README.md")
    parser.add_argument("--readme", type=Path, default=HERE.parent / "README.md")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if something would change")
    arguments = parser.parse_args()
    results = load(arguments.results)
    wanted = {arguments.page: readme(results), arguments.readme: filled(arguments.readme.read_text(), results)}
    for path, text in wanted.items():
        if arguments.check and (not path.exists() or path.read_text() != text):
            raise SystemExit(f"{path} is not what the results say; run python benchmarks/report.py")
        if not arguments.check:
            path.write_text(text)


if __name__ == "__main__":
    main()
