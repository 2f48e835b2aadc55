"""Memory limits: what people may write, and what a machine or container has left."""

from __future__ import annotations

from pathlib import Path

import pytest

from fusion_kernels.limits import available_memory, format_bytes, memory_limit_bytes, parse_size

MIB = 2**20


@pytest.mark.parametrize(
    ("written", "size"),
    [
        (1, 1),
        (268435456, 268435456),
        ("268435456", 268435456),
        ("256MiB", 256 * MIB),
        ("256 mib", 256 * MIB),
        (" 1.5GB ", 1_500_000_000),
        (".5GiB", 512 * MIB),
        ("5GB", 5_000_000_000),
        ("2TiB", 2 * 2**40),
        ("100kB", 100_000),
    ],
)
def test_sizes_people_write(written: str | int, size: int) -> None:
    assert memory_limit_bytes(written) == size


@pytest.mark.parametrize(
    "written", ["", "lots", -1, 0, "0MB", "-5GB", "5B", "5G", "1.5", "1e9", "nan", "infGB", True, 1.5, None, 2**63]
)
def test_sizes_nobody_can_read_are_refused_with_examples(written: object) -> None:
    with pytest.raises(ValueError, match=r"memory_limit.*256MiB.*1\.5GB"):
        memory_limit_bytes(written)  # type: ignore[arg-type]


def test_an_unknown_unit_lists_the_known_ones_and_the_argument_by_its_name() -> None:
    with pytest.raises(ValueError, match=r"max_shard_size: unknown unit 'B'.*KB MB GB TB"):
        parse_size("5B", what="max_shard_size")


@pytest.mark.alone
def test_auto_is_a_quarter_of_what_is_available() -> None:
    available = available_memory()
    assert available > 0
    # Other processes come and go between the two readings.
    assert memory_limit_bytes("auto") == pytest.approx(available / 4, rel=0.2)
    assert memory_limit_bytes() > 0


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (812, "812 B"), (1000, "1.00 kB"), (999_996, "1.00 MB"), (5 * 10**9, "5.00 GB"), (14.2e9, "14.2 GB")],
)
def test_sizes_are_shown_in_decimal_units(size: float, text: str) -> None:
    assert format_bytes(size) == text


def machine(root: Path, *, available_kib: int, cgroup: str, mounts: list[str], files: dict[str, str]) -> Path:
    """A root folder with the proc and cgroup files of a machine."""
    everything = {
        "proc/meminfo": f"MemTotal: 99999999 kB\nMemAvailable:   {available_kib} kB\n",
        "proc/self/cgroup": cgroup,
        "proc/self/mountinfo": "\n".join(mounts) + "\n",
        **files,
    }
    for name, text in everything.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


V2 = "29 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"
V1 = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory"


def test_without_cgroups_the_kernels_estimate_counts(tmp_path: Path) -> None:
    root = machine(tmp_path, available_kib=1000, cgroup="0::/\n", mounts=[V2], files={})
    assert available_memory(root) == 1000 * 1024


def test_a_cgroup_v2_limit_counts_less_what_is_used_but_cache_can_go(tmp_path: Path) -> None:
    group = "sys/fs/cgroup/job/"
    files = {
        group + "memory.max": f"{100 * MIB}\n",
        group + "memory.current": f"{90 * MIB}\n",
        group + "memory.stat": f"anon 1\ninactive_file {40 * MIB}\nactive_file {20 * MIB}\nslab 3\n",
    }
    root = machine(tmp_path, available_kib=10**6, cgroup="0::/job\n", mounts=[V2], files=files)
    assert available_memory(root) == 70 * MIB


def test_the_tightest_group_above_the_process_decides(tmp_path: Path) -> None:
    files = {}
    for folder, limit in (("", "max"), ("pod/", str(50 * MIB)), ("pod/job/", str(200 * MIB))):
        files[f"sys/fs/cgroup/{folder}memory.max"] = limit + "\n"
        files[f"sys/fs/cgroup/{folder}memory.current"] = f"{10 * MIB}\n"
    root = machine(tmp_path, available_kib=10**6, cgroup="0::/pod/job\n", mounts=[V2], files=files)
    assert available_memory(root) == 40 * MIB


def test_memory_high_slows_a_process_down_before_max_and_counts_too(tmp_path: Path) -> None:
    group = "sys/fs/cgroup/job/"
    files = {
        group + "memory.max": "max\n",
        group + "memory.high": f"{30 * MIB}\n",
        group + "memory.current": f"{10 * MIB}\n",
    }
    root = machine(tmp_path, available_kib=10**6, cgroup="0::/job\n", mounts=[V2], files=files)
    assert available_memory(root) == 20 * MIB


def test_a_cgroup_v1_limit_counts_and_its_way_of_saying_unlimited_does_not(tmp_path: Path) -> None:
    group = "sys/fs/cgroup/memory/"
    files = {
        group + "memory.limit_in_bytes": "9223372036854771712\n",
        group + "memory.usage_in_bytes": f"{900 * MIB}\n",
        group + "job/memory.limit_in_bytes": f"{64 * MIB}\n",
        group + "job/memory.usage_in_bytes": f"{60 * MIB}\n",
        group + "job/memory.stat": f"inactive_file 7\ntotal_inactive_file {10 * MIB}\ntotal_active_file {6 * MIB}\n",
    }
    cgroup = "5:cpu:/\n4:memory:/job\n0::/\n"
    root = machine(tmp_path, available_kib=10**6, cgroup=cgroup, mounts=[V1], files=files)
    assert available_memory(root) == 20 * MIB


def test_inside_a_container_only_the_mounted_subtree_is_visible(tmp_path: Path) -> None:
    files = {"sys/fs/cgroup/memory.max": f"{80 * MIB}\n", "sys/fs/cgroup/memory.current": f"{30 * MIB}\n"}
    mount = V2.replace(" / /sys", " /docker/abc /sys")
    root = machine(tmp_path, available_kib=10**6, cgroup="0::/docker/abc\n", mounts=[mount], files=files)
    assert available_memory(root) == 50 * MIB


def test_a_group_over_its_limit_leaves_nothing_rather_than_less_than_nothing(tmp_path: Path) -> None:
    files = {"sys/fs/cgroup/job/memory.max": "1000\n", "sys/fs/cgroup/job/memory.current": "5000\n"}
    root = machine(tmp_path, available_kib=10**6, cgroup="0::/job\n", mounts=[V2], files=files)
    assert available_memory(root) == 0


def test_where_nothing_can_be_read_the_way_out_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="give memory_limit"):
        available_memory(tmp_path)
