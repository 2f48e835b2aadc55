"""A recipe as people write it, for the tests that read, break and write it."""

from __future__ import annotations

from typing import Any

import pytest

from fusion_kernels import Recipe

TIES = """\
models:
  - model: org/base
  - model: org/math
    parameters:
      density: 0.5
      weight: 0.3
  - model: runs/code
    parameters: {weight: 0.7}
merge_method: ties
base_model: org/base
parameters:
  normalize: true
  int8_mask: true
dtype: bfloat16
"""


def refused(text: Any, *, error: type[Exception] = ValueError) -> str:
    with pytest.raises(error) as caught:
        Recipe.parse(text, name="r.yml")
    message = str(caught.value)
    assert message.startswith("r.yml") or "method" in message, "an error says where"
    assert "\n" not in message
    return message
