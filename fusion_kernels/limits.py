"""Sizes in bytes: what a memory limit means on this machine."""

from __future__ import annotations

import os
import re
from pathlib import Path

__all__ = ["available_memory", "device_memory_limit_bytes", "format_bytes", "memory_limit_bytes", "parse_size"]

_UNITS = {
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?|\.\d+)\s*([a-z]+)?\s*", re.IGNORECASE)
_LARGEST = 2**63 - 1
# Kernels write "no limit" as a number near 2^63 rounded down to a page; no machine has 2^60 bytes.
_NO_LIMIT = 2**60


def parse_size(value: str | int, *, what: str = "size") -> int:
    """Bytes meant by ``268435456``, ``"256MiB"`` or ``"1.5GB"`` (GB is 10^9, GiB is 2^30); ``what`` names the argument.

    Raises ValueError for anything else, for zero and for negative sizes.
    """
    examples = f"give bytes as an int, or text such as '256MiB' or '1.5GB', got {value!r}"
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise ValueError(f"{what}: {examples}")
    if isinstance(value, int):
        size = value
    else:
        found = _SIZE.fullmatch(value)
        if found is None:
            raise ValueError(f"{what}: {examples}")
        number, unit = found.groups()
        if unit is None and "." in number:
            raise ValueError(f"{what}: {number!r} has no unit; {examples}")
        if unit is not None and unit.lower() not in _UNITS:
            raise ValueError(f"{what}: unknown unit {unit!r} (known: KB MB GB TB, KiB MiB GiB TiB); {examples}")
        size = int(number) if unit is None else int(float(number) * _UNITS[unit.lower()])
    if not 0 < size <= _LARGEST:
        raise ValueError(f"{what}: must be at least one byte and below 2^63; {examples}")
    return size


def memory_limit_bytes(value: str | int = "auto") -> int:
    """Bytes the engine may allocate: ``"auto"`` is a quarter of :func:`available_memory`, else see :func:`parse_size`.

    Raises ValueError for a size nobody can read, and OSError when ``"auto"`` cannot tell what is available.
    """
    if value == "auto":
        return max(1, available_memory() // 4)
    return _stated_limit(value, what="memory_limit")


def device_memory_limit_bytes(value: str | int = "auto") -> int:
    """Bytes of each GPU's memory that a merge may take: 0 for ``"auto"``, which the engine decides by what is free.

    Raises ValueError for a size nobody can read.
    """
    return 0 if value == "auto" else _stated_limit(value, what="device_memory_limit")


def _stated_limit(value: str | int, *, what: str) -> int:
    if isinstance(value, str) and value.strip().isalpha():
        raise ValueError(f"{what}: 'auto', bytes as an int, or text such as '256MiB' or '1.5GB', got {value!r}")
    return parse_size(value, what=what)


def available_memory(root: str | os.PathLike[str] = "/") -> int:
    """Bytes this process can still use without swapping: MemAvailable, or less where a cgroup (v1 or v2) allows less.

    Every group from the process's own up to the mounted root counts, each with what it has left; page cache a group
    can drop is counted as available, as MemAvailable does. ``root`` is where ``proc`` and ``sys`` are found.
    Raises OSError where neither can be read.
    """
    base = Path(root)
    limits = [*_cgroup_remaining(base), *_meminfo_available(base)]
    if not limits:
        raise OSError("cannot tell how much memory is available here; give memory_limit, for example '2GiB'")
    return max(0, min(limits))


def format_bytes(count: int | float) -> str:
    """A size for people in decimal units, as disks and GB/s use them: ``"812 B"``, ``"5.00 GB"``."""
    size = float(count)
    if abs(size) < 1000:
        return f"{size:.0f} B"
    for unit in ("kB", "MB", "GB", "TB", "PB"):
        size /= 1000
        # 999.995 would round to "1000.00"; the next unit says it better
        if abs(size) < 999.995 or unit == "PB":
            break
    return f"{size:.2f} {unit}" if abs(size) < 10 else f"{size:.1f} {unit}"


def _meminfo_available(root: Path) -> list[int]:
    for line in _lines(root / "proc/meminfo"):
        if line.startswith("MemAvailable:"):
            return [int(line.split()[1]) * 1024]
    if root == Path("/") and hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    return []


def _cgroup_remaining(root: Path) -> list[int]:
    """What each memory group of this process has left, innermost first; groups without a limit say nothing."""
    paths: dict[str, str] = {}
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers == "":
            paths["cgroup2"] = path
        elif "memory" in controllers.split(","):
            paths["cgroup"] = path
    remaining = []
    for line in _lines(root / "proc/self/mountinfo"):
        fields, _, tail = line.partition(" - ")
        kind = tail.split(" ", 1)[0]
        columns = fields.split()
        if kind not in paths or len(columns) < 5 or (kind == "cgroup" and "memory" not in tail.split()[-1].split(",")):
            continue
        mounted, mountpoint = columns[3], root / columns[4].lstrip("/")
        # In a container the group's path may be given from the host's root, while only its own subtree is mounted.
        inner = os.path.relpath(paths[kind], mounted) if paths[kind].startswith(mounted) else "."
        group = mountpoint / inner if (mountpoint / inner).is_dir() else mountpoint
        for folder in [group, *group.parents]:
            left = _group_v2(folder) if kind == "cgroup2" else _group_v1(folder)
            if left is not None:
                remaining.append(left)
            if folder == mountpoint:
                break
    return remaining


def _group_v2(folder: Path) -> int | None:
    limits = [n for n in (_number(folder / "memory.max"), _number(folder / "memory.high")) if n is not None]
    used = _number(folder / "memory.current")
    if not limits or used is None or min(limits) >= _NO_LIMIT:
        return None
    return min(limits) - used + _page_cache(folder, ("inactive_file", "active_file"))


def _group_v1(folder: Path) -> int | None:
    limit, used = _number(folder / "memory.limit_in_bytes"), _number(folder / "memory.usage_in_bytes")
    if limit is None or used is None or limit >= _NO_LIMIT:
        return None
    return limit - used + _page_cache(folder, ("total_inactive_file", "total_active_file"))


def _page_cache(folder: Path, names: tuple[str, ...]) -> int:
    counts = [line.split() for line in _lines(folder / "memory.stat")]
    return sum(int(pair[1]) for pair in counts if len(pair) == 2 and pair[0] in names)


def _number(path: Path) -> int | None:
    """The integer in a one-line file; None when the file is absent or says ``max``."""
    text = "".join(_lines(path)).strip()
    return int(text) if text.isdigit() else None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
