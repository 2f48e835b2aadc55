"""Writes the shipped configurations of models, datasets and modelpools: python -m tools.shipped_configs

Names and hub ids are those of FusionBench 0.2.33, so that its command lines work here. Every file begins with a
comment, which `fusion-stack --help` shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tools.shipped_classifiers import classifier_pools
from tools.shipped_clip import clip_pools
from tools.shipped_datasets import dataset_configs
from tools.shipped_language import language_pools
from tools.shipped_models import model_configs

CONFIG = Path(__file__).parents[1] / "python" / "fusion_stack" / "config"


class _Dumper(yaml.SafeDumper):
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        return super().increase_indent(flow, False)


def shipped() -> Iterator[tuple[str, str]]:
    """(path below the configuration folder, text) of every file."""
    for source in (dataset_configs, model_configs, clip_pools, classifier_pools, language_pools):
        for path, comment, content in source():
            body = yaml.dump(content, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)
            yield f"{path}.yaml", f"# {comment}\n{body}"


def main() -> None:
    written: dict[str, Any] = dict(shipped())
    for path, text in written.items():
        file = CONFIG / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    print(f"{len(written)} files in {CONFIG}")


if __name__ == "__main__":
    main()
