"""Writes what a merged model says about itself: the hub's model card (README.md), the recipe (mergekit_config.yml)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fusion_kernels.report import show

if TYPE_CHECKING:
    from fusion_kernels.sources import Checkpoint

CARD = "README.md"
RECIPE = "mergekit_config.yml"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_LICENSE_KEYS = ("license", "license_name", "license_link")


@dataclass(frozen=True)
class Facts:
    """What a card tells. `models` are the merged models in order; `parameters` as in MergeReport."""

    title: str
    method: str
    summary: str
    paper: Mapping[str, Any]
    base: Checkpoint | None
    models: Sequence[Checkpoint]
    parameters: Mapping[str, Any]
    recipe: str  # YAML
    library: str | None  # "transformers", where the output has a config.json that says so
    version: str

    @property
    def inputs(self) -> list[Checkpoint]:
        """Base first, each checkpoint once."""
        base = [self.base] if self.base is not None else []
        return base + [model for model in self.models if model is not self.base]


def hub_id(checkpoint: Checkpoint) -> str | None:
    """The checkpoint's `owner/name` on the hub, if it is known; never a path."""
    reference = checkpoint.reference
    return reference if reference and _HUB_ID.fullmatch(reference) and ".." not in reference else None


def portable_name(checkpoint: Checkpoint) -> str:
    """A name that means something elsewhere: the hub id, else the folder's or file's own name, else the label."""
    known = hub_id(checkpoint)
    if known is not None:
        return known
    return Path(checkpoint.label).name or checkpoint.label


def card_text(facts: Facts) -> str:
    """The model card, front matter first."""
    return f"---\n{_front_matter(facts)}---\n\n{_body(facts)}"


def _front_matter(facts: Facts) -> str:
    lines = []
    ids = list(dict.fromkeys(filter(None, map(hub_id, facts.inputs))))
    if ids:
        lines += ["base_model:", *(f"- {name}" for name in ids), "base_model_relation: merge"]
    if facts.library:
        lines.append(f"library_name: {facts.library}")
    lines += ["tags:", "- merge", "- fusion_kernels"]
    lines += [f"{key}: {value}" for key, value in _common_license(facts.inputs).items()]
    return "\n".join(lines) + "\n"


def _body(facts: Facts) -> str:
    per_model = {name: value for name, value in facts.parameters.items() if isinstance(value, Mapping)}
    shared = {name: value for name, value in facts.parameters.items() if name not in per_model}
    paper = ""
    if facts.paper:
        paper = f" ([{facts.paper['title']}]({facts.paper['url']}), {facts.paper['authors']}, {facts.paper['year']})"
    base = f"\n\nThe base model is {_link(facts.base)}." if facts.base is not None else ""
    count = f"{len(facts.models)} models" if len(facts.models) != 1 else "one model"
    lines = [
        f"# {facts.title}",
        f"A merge of {count}, made with fusion_kernels {facts.version}.",
        f"## Method\n\n`{facts.method}`: {facts.summary.rstrip('.')}{paper}.{base}",
        "## Models\n\n" + _table(
            ["model", *per_model],
            [[_link(model), *(show(value[model.label]) for value in per_model.values())] for model in facts.models],
        ),
    ]
    if shared:
        rows = [[f"`{name}`", show(value)] for name, value in shared.items()]
        lines.append("## Parameters\n\n" + _table(["parameter", "value"], rows))
    lines.append(f"## Recipe\n\n```yaml\n{facts.recipe}```")
    return "\n\n".join(lines) + "\n"


def _link(checkpoint: Checkpoint) -> str:
    known = hub_id(checkpoint)
    return f"[{known}](https://huggingface.co/{known})" if known else portable_name(checkpoint)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in (head, ["---"] * len(head), *rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def _common_license(inputs: Sequence[Checkpoint]) -> dict[str, str]:
    licenses = [_license(checkpoint) for checkpoint in inputs]
    agreed = bool(licenses) and all(one == licenses[0] for one in licenses)
    return licenses[0] if agreed else {}


def _license(checkpoint: Checkpoint) -> dict[str, str]:
    """License entries of a model's own card; empty if it has none or states several."""
    card = checkpoint.folder / CARD if checkpoint.folder is not None else None
    if card is None or not card.is_file():
        return {}
    front = re.match(r"\ufeff?---\s*\n(.*?)\n---\s*(?:\n|$)", card.read_text(encoding="utf-8", errors="replace"), re.DOTALL)
    entries = re.findall(r"^(\w+):[ \t]*(\S.*?)[ \t]*$", front[1], re.MULTILINE) if front else []
    found = {key: value for key, value in entries if key in _LICENSE_KEYS}
    return found if "license" in found and not found["license"].startswith(("[", "|", ">", "#")) else {}
