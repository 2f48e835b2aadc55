"""The examples of the page about operations give what the page says, and the page has every operation."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

from fusion_kernels import ops

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "ops.md").read_text(encoding="utf-8")


def test_the_examples_are_right() -> None:
    blocks = re.findall(r"^```pycon\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    assert len(blocks) > 5
    examples = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, "ops.md", "docs/ops.md", 0)
    said: list[str] = []
    failed, _ = doctest.DocTestRunner().run(examples, out=said.append)
    assert failed == 0, "".join(said)


def test_every_operation_is_described_and_shown() -> None:
    for name in ops.__all__:
        assert f"<!-- generated: api ops.{name} -->" in PAGE
        assert f"ops.{name}(" in PAGE
        assert getattr(ops, name).__doc__
