"""Methods written in Python go through a model tensor by tensor: within the memory limit, reading ahead, stoppable."""

from __future__ import annotations

import itertools
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from test_plan import sparse_checkpoint
from tiny_models import SHAPES, tiny_checkpoint, weights

import fusion_kernels
from fusion_kernels import merge_method, tensor_plan, tensorwise
from fusion_kernels.tensor_schedule import Footprint, cut, schedule

pytestmark = pytest.mark.usefixtures("own_methods")
MIB = 1 << 20


def average(tensors, base, *, info):
    return torch.stack(tensors).mean(0)


# ---- the order of steps ------------------------------------------------------------------------------------


def most_alive(sizes: list[Footprint], steps: list[Any]) -> int:
    """The most bytes alive at one time if the steps are taken in that order, each exactly once."""
    alive, most = 0, 0
    done: dict[str, list[int]] = {"read": [], "compute": [], "write": [], "written": []}
    for action, index in steps:
        before = {"read": None, "compute": "read", "write": "compute", "written": "write"}[action]
        assert before is None or index in done[before]
        done[action].append(index)
        alive += {"read": sizes[index].inputs, "compute": sizes[index].result}.get(action, 0)
        most = max(most, alive)
        alive -= {"compute": sizes[index].inputs, "written": sizes[index].result}.get(action, 0)
    assert all(indices == list(range(len(sizes))) for indices in done.values())
    assert alive == 0
    return most


def test_memory_stays_within_every_limit_that_one_tensor_fits() -> None:
    draw = random.Random(0)
    for _ in range(300):
        sizes = [Footprint(2 * size, size) for size in draw.choices([0, 1, 5, 20, 100], k=draw.randint(1, 12))]
        batches = cut(sizes, most=0)
        largest = max(size.total for size in sizes)
        for limit in (None, largest, largest + 1, 2 * largest, 3 * largest):
            steps, most = schedule(batches, limit)
            assert most == most_alive([batch.footprint for batch in batches], steps)
            assert limit is None or most <= limit


def test_reading_ahead_and_writing_behind_wherever_they_fit() -> None:
    batches = cut([Footprint(2, 1)] * 4, most=0)
    steps, most = schedule(batches, None)
    order = [f"{action} {index}" for action, index in steps]
    for index in range(3):
        assert order.index(f"read {index + 1}") < order.index(f"compute {index}")
        assert order.index(f"written {index}") > order.index(f"compute {index + 1}")
    assert most == 2 + (2 + 1) + 1
    assert schedule(batches, most) == (steps, most)
    alone, most = schedule(batches, 3)
    assert [f"{action} {index}" for action, index in alone][:4] == ["read 0", "compute 0", "write 0", "read 1"]
    assert most == 3


def test_small_tensors_go_in_groups() -> None:
    groups = cut([Footprint(1, 1)] * 5 + [Footprint(100, 50)] + [Footprint(1, 1)], most=6)
    assert [(group.first, group.last) for group in groups] == [(0, 3), (3, 5), (5, 6), (6, 7)]
    assert cut([], most=6) == []
    assert schedule([], None) == ([], 0)


# ---- overlap -----------------------------------------------------------------------------------------------


def test_the_next_tensor_is_read_and_the_last_one_written_while_the_method_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed, name in enumerate("ab"):
        tiny_checkpoint(tmp_path / name, seed)
    monkeypatch.setattr(tensor_plan, "BATCH_BYTES", 0)  # else all of these are one group
    names = list(weights(tmp_path / "a"))
    done = {(action, name): threading.Event() for action in ("read", "write") for name in names}
    engine = tensorwise.native()

    class Watched:
        def execute(self, method: str, jobs: list[Any], *given: Any, **options: Any) -> Any:
            result = engine.execute(method, jobs, *given, **options)
            done["read" if len(jobs) == 2 else "write", jobs[0][1]].set()  # two inputs, one result
            return result

    monkeypatch.setattr(tensorwise, "native", lambda: Watched())

    @merge_method("patient")
    def patient(tensors, base, *, info):
        index = names.index(info.name)
        assert threading.current_thread() is threading.main_thread()
        if index + 1 < len(names):
            assert done["read", names[index + 1]].wait(20), f"{names[index + 1]} was not read ahead"
        if index > 0:
            assert done["write", names[index - 1]].wait(20), f"{names[index - 1]} was not written behind"
        return tensors[0] + tensors[1]

    fusion_kernels.merge([tmp_path / "a", tmp_path / "b"], method="patient", output=tmp_path / "out")
    assert all(event.is_set() for event in done.values())


# ---- memory ------------------------------------------------------------------------------------------------

MEMORY = """
import resource, sys
import torch
import fusion_kernels
torch.set_num_threads(1)

@fusion_kernels.merge_method("add", base="required")
def add(tensors, base, *, info):
    for tensor in tensors:
        base.add_(tensor.sub_(base))
    return base

limit, out, base, *models = sys.argv[1:]
small = {"x": torch.ones(300, 300)}
fusion_kernels.merge([dict(small)], base=small, method="add")  # whatever is allocated once
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
plan = fusion_kernels.plan(models, base=base, method="add", output=out, memory_limit=limit)
report = fusion_kernels.merge(models, base=base, method="add", output=out, memory_limit=limit)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print((after - before) * 1024, plan.ram, report.workspace_bytes)
"""


@pytest.mark.parametrize("limit", [72, 200])
def test_memory_does_not_grow_with_the_model(tmp_path: Path, limit: int) -> None:
    # 16 MiB a tensor in float32, four of them at a time: three inputs and the result. The models take 960 MiB.
    shapes = {f"layers.{index}.weight": (2048, 2048) for index in range(20)}
    models = [sparse_checkpoint(tmp_path / name, shapes) for name in ("base", "math", "code")]
    words = [f"{limit}MiB", str(tmp_path / "out"), *map(str, models)]
    done = subprocess.run([sys.executable, "-c", MEMORY, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    grown, planned, reported = map(int, done.stdout.split())
    assert 64 * MIB <= planned == reported <= limit * MIB
    assert grown <= limit * MIB + 24 * MIB  # stacks, and what malloc keeps


def test_a_limit_below_one_tensor_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    merge_method("average")(average)
    shapes = {"small.weight": (16, 16), "large.weight": (4096, 4096), "other.weight": (64, 64)}
    models = [sparse_checkpoint(tmp_path / name, shapes) for name in ("math", "code")]
    given: dict[str, Any] = {"method": "average", "output": tmp_path / "out"}
    message = r"memory_limit is 100.0 MB; .*'average'.*'large.weight' of shape \[4096, 4096\] takes .*2 inputs.*float32"
    with pytest.raises(ValueError, match=message) as caught:
        fusion_kernels.merge(models, memory_limit="100MB", **given)
    assert not (tmp_path / "out").exists()
    (problem,) = fusion_kernels.plan(models, memory_limit="100MB", **given).problems
    assert problem == str(caught.value)
    # The limit it asks for is enough.
    enough = re.search(r"give '(\d+MB)'", problem)
    assert enough is not None
    plan = fusion_kernels.plan(models, memory_limit=enough[1], **given)
    assert plan.ok, plan
    assert 3 * 4 * 4096**2 < plan.ram <= int(enough[1][:-2]) * 10**6
    # Without one, a quarter of the memory is what reading ahead may take, not what one tensor may.
    assert fusion_kernels.plan(models, **given).ok


@pytest.mark.alone
def test_many_small_tensors_are_quick(tmp_path: Path) -> None:
    merge_method("average")(average)
    shapes = {f"layers.{index}.norm.weight": (64,) for index in range(5000)}
    models = [sparse_checkpoint(tmp_path / name, shapes) for name in ("math", "code")]
    started = time.perf_counter()
    report = fusion_kernels.merge(models, method="average", output=tmp_path / "out")
    assert report.tensors == 5000
    assert time.perf_counter() - started < 10


# ---- progress and Ctrl-C -----------------------------------------------------------------------------------


def test_progress_is_reported_and_may_stop_the_merge(tmp_path: Path) -> None:
    @merge_method("slow")
    def slow(tensors, base, *, info):
        time.sleep(0.15)
        return tensors[0]

    models = [tiny_checkpoint(tmp_path / name, seed) for seed, name in enumerate("ab")]
    seen: list[fusion_kernels.progress.Progress] = []
    fusion_kernels.merge(models, method="slow", output=tmp_path / "out", progress=seen.append)
    assert len(seen) >= 4
    assert all(one.bytes_done <= two.bytes_done for one, two in itertools.pairwise(seen))
    last = seen[-1]
    assert (last.share, last.tensors_done, last.bytes_done) == (1, 4, last.bytes_total)
    assert {one.tensor for one in seen} <= set(SHAPES)

    def stop(progress: object) -> None:
        raise RuntimeError("enough")

    threads = threading.active_count()
    with pytest.raises(RuntimeError, match="enough"):
        fusion_kernels.merge(models, method="slow", output=tmp_path / "other", progress=stop)
    assert threading.active_count() == threads
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "out"]


INTERRUPTED = """
import signal, sys, time
import fusion_kernels
signal.signal(signal.SIGINT, signal.default_int_handler)

@fusion_kernels.merge_method("endless")
def endless(tensors, base, *, info):
    if info.name == "layers.3.weight":
        print("computing", flush=True)
        while True:
            time.sleep(0.01)
    return tensors[0]

out, *models = sys.argv[1:]
try:
    fusion_kernels.merge(models, method="endless", output=out)
except KeyboardInterrupt:
    print("stopped", flush=True)  # ending a process that has loaded torch takes a while of its own
"""


@pytest.mark.alone
def test_ctrl_c_stops_the_method_and_leaves_nothing(tmp_path: Path) -> None:
    shapes = {f"layers.{index}.weight": (2048, 2048) for index in range(8)}
    models = [sparse_checkpoint(tmp_path / name, shapes) for name in ("math", "code")]
    work = tmp_path / "work"
    work.mkdir()
    command = [sys.executable, "-c", INTERRUPTED, str(work / "out"), *map(str, models)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "computing\n"
        time.sleep(0.3)
        os.kill(process.pid, signal.SIGINT)
        started = time.monotonic()
        assert process.stdout.readline() == "stopped\n"
        assert time.monotonic() - started < 1
        assert list(work.iterdir()) == []
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
