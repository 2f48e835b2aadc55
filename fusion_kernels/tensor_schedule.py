"""Orders a merge that works on whole tensors so that reading, computing and writing overlap within a memory limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

__all__ = ["Batch", "Footprint", "Step", "cut", "schedule"]

# Small tensors go in groups: a model has thousands, and each call of the engine starts threads.
BATCH_BYTES = 16 << 20


class Footprint(NamedTuple):
    """Bytes of one output tensor's inputs and of its result, both in the dtype computed in."""

    inputs: int
    result: int

    @property
    def total(self) -> int:
        return self.inputs + self.result


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive tensors that are read, computed and written together: `first` to `last`, `last` not included."""

    first: int
    last: int
    footprint: Footprint


class Step(NamedTuple):
    """read and write begin in the background; compute waits for its reading, written for a writing to end."""

    action: Literal["read", "compute", "write", "written"]
    batch: int


def cut(tensors: Sequence[Footprint], *, most: int = BATCH_BYTES) -> list[Batch]:
    """Batches of at most `most` bytes, or of one tensor."""
    batches: list[Batch] = []
    for index, tensor in enumerate(tensors):
        last = batches[-1] if batches else None
        if last is not None and last.footprint.total + tensor.total <= most:
            joined = Footprint(last.footprint.inputs + tensor.inputs, last.footprint.result + tensor.result)
            batches[-1] = Batch(last.first, index + 1, joined)
        else:
            batches.append(Batch(index, index + 1, tensor))
    return batches


def schedule(batches: Sequence[Batch], limit: int | None) -> tuple[list[Step], int]:
    """The steps in order, and the most bytes alive at one time.

    While a batch is computed, the one before is written and the next is read, where all of it fits into `limit` bytes;
    else they wait for each other. A batch larger than the limit is worked on alone.
    """
    steps: list[Step] = []
    alive = most = 0
    writing: int | None = None

    def allocate(count: int) -> None:
        nonlocal alive, most
        alive += count
        most = max(most, alive)

    def fits(count: int) -> bool:
        return limit is None or alive + count <= limit

    def read(index: int) -> None:
        steps.append(Step("read", index))
        allocate(batches[index].footprint.inputs)

    def finish_writing() -> None:
        nonlocal alive, writing
        if writing is not None:
            steps.append(Step("written", writing))
            alive -= batches[writing].footprint.result
            writing = None

    for index, batch in enumerate(batches):
        if index == 0:
            read(0)
        ahead = batches[index + 1].footprint.inputs if index + 1 < len(batches) else 0
        if not fits(batch.footprint.result + ahead):
            finish_writing()
        prefetched = ahead > 0 and fits(batch.footprint.result + ahead)
        if prefetched:
            read(index + 1)
        steps.append(Step("compute", index))
        allocate(batch.footprint.result)
        alive -= batch.footprint.inputs
        finish_writing()
        steps.append(Step("write", index))
        writing = index
        if index + 1 < len(batches) and not prefetched:
            if not fits(ahead):
                finish_writing()
            read(index + 1)
    finish_writing()
    return steps, most
