"""The family of text tasks: all-MiniLM-L6-v2 against frozen descriptions of classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from fusion_stack.suite import fetch
from fusion_stack.suite.family import Encoded, Family
from fusion_stack.suite.rows import ROWS, MergeRow
from fusion_stack.suite.settings import CommonSettings, Settings
from fusion_stack.suite.tasks import TASKS

if TYPE_CHECKING:
    from fusion_stack.modelpool.base import BaseModelPool
    from fusion_stack.suite.items import Prepared
    from fusion_stack.suite.task import Task

INTRO = """\
A real model, all-MiniLM-L6-v2, is fine-tuned on real text-classification tasks, one model a task. Merging makes one
model of them again, without training; the tables say what each way of merging keeps. Model and data come from PyPI, npm
and Debian's archive by those registries' own clients, and nothing else is fetched: it runs anywhere.

```bash
fusion-stack-suite run --profile ci             # four tasks: minutes on two cores
fusion-stack-suite run --profile full           # eight tasks, three seeds
fusion-stack-suite table build/suite/*.json     # tables from results
```

The same models and tasks in the stack, after `fusion-stack-suite train --profile full --seed 0`; the sweep ends in its
table:

```bash
fusion-stack --multirun method=simple_average,task_arithmetic,ties_merging,individual \\
    modelpool=SentenceEncoderPool/text8 taskpool=SentenceEncoderTaskPool/text8
```

Test accuracy in %. Mean: over the tasks, ± one standard error. Norm.: mean over the tasks of a model's accuracy divided
by that of the task's own fine-tune. Merge s: seconds of one merge, from disk to disk.
"""

PROTOCOL = """\
The protocol is that of task arithmetic with CLIP (Ilharco et al. 2023, arXiv:2212.04089), carried over to text. The
head of a task is the base's own embedding of a description of each class, "a newswire story about crude oil"; it stays
frozen, so the untouched base already answers every task to some degree, and merged models need no merged heads. Only
`encoder.layer.*` is trained (10.6 of 22.7 million parameters), by AdamW with linear warm-up and cosine decay. Logits
are {scale:g} times the cosine. Texts are cut at {max_tokens} tokens.

Training, validation and test items are disjoint, and no two of them begin with the same words. Test items come from the
official test set where there is one; elsewhere they are drawn first, at most 1000, but beyond 300 only what training
leaves over. Coefficients called "tuned" were chosen on validation items; nothing was chosen on test items. Fine-tunes
are kept under a key of base, data, settings, versions and code, in `$FUSION_KERNELS_CACHE`, else
`$XDG_CACHE_HOME/fusion_kernels`, else `~/.cache/fusion_kernels`.

A difference is worth believing when it is well above the standard errors. Zero-shot accuracy is below that of the
majority class on some tasks, so that "better than zero-shot" says little there.
"""


class TextFamily(Family):
    """See `Family`."""

    name = "text"
    items = "texts"
    model = "all-MiniLM-L6-v2"
    about = "22.7 M parameters, fp32, weights with the pinned sha256"
    trained = "encoder.layer.*"
    baseline = "zero-shot base"
    takes_bf16 = True
    intro = INTRO
    protocol = PROTOCOL
    data_note = "No texts are part of this software"

    @property
    def tasks(self) -> Mapping[str, Task]:
        return TASKS

    @property
    def rows(self) -> Sequence[MergeRow]:
        return ROWS

    @property
    def package(self) -> str:
        return fetch.MINILM.requirement

    @property
    def weights_sha256(self) -> str:
        return fetch.BASE_FILES["model.safetensors"]

    def fetch_base(self, cache: Path) -> Path:
        return fetch.fetch_base(cache)

    @property
    def code(self) -> Sequence[ModuleType]:
        from fusion_stack.suite import encode, encoder, finetune

        return encode, encoder, finetune

    def encode(
        self, prepared: Sequence[Prepared], base: Path, settings: CommonSettings
    ) -> dict[str, dict[str, Encoded]]:
        from fusion_stack.suite.encode import encode

        assert isinstance(settings, Settings)
        return {task: {**parts} for task, parts in encode(prepared, base, settings).items()}

    def finetune(
        self,
        base: Path,
        target: Path,
        data: Sequence[Any],
        settings: CommonSettings,
        *,
        bf16: bool,
        progress: Callable[[int], None],
    ) -> None:
        from fusion_stack.suite.finetune import finetune

        assert isinstance(settings, Settings)
        finetune(base, target, data, settings, bf16=bf16, progress=progress)

    def pool(self, base: Path, models: Mapping[str, Path] | None = None) -> BaseModelPool:
        from fusion_stack.suite.encoder import encoder_pool

        return encoder_pool(base, models)

    def evaluate(
        self,
        pool: Any,
        model: Any,
        items: Mapping[str, Any],
        *,
        autocast: Callable[[], AbstractContextManager[Any]] = nullcontext,
        progress: Callable[[int], Any] = lambda count: None,
    ) -> dict[str, list[bool]]:
        from fusion_stack.suite.evaluate import evaluate

        return evaluate(pool, model, items, autocast=autocast, progress=progress)
