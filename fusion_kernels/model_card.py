"""Writes what a merged model says about itself: the hub's model card (README.md), the recipe (mergekit_config.yml)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from fusion_kernels._version import __version__
from fusion_kernels.companions import config_source
from fusion_kernels.labels import portable_source
from fusion_kernels.report import counted, show

if TYPE_CHECKING:
    from fusion_kernels.prepared import Prepared
    from fusion_kernels.sources import Checkpoint

CARD = "README.md"
RECIPE = "mergekit_config.yml"
_LICENSE_KEYS = ("license", "license_name", "license_link")


def card_text(prepared: Prepared, recipe: str) -> str:
    """The model card of a prepared merge, front matter first; `recipe` is its YAML."""
    return f"---\n{_front_matter(prepared)}---\n\n{_body(prepared, recipe)}"


def recipe_text(prepared: Prepared) -> str:
    """The merge as run, in mergekit's YAML, with names that mean something elsewhere.

    Every number and flag is stated, a choice only where it is not the preset's: mergekit knows no such parameters, and
    its older versions stop at texts among them.
    """
    from fusion_kernels.recipe import Recipe, RecipeModel

    method, resolved, request = prepared.method, prepared.resolved, prepared.request
    assert method is not None
    assert resolved is not None
    stated = {
        one.name: resolved.values[one.name]
        for one in method.parameters
        if one.type != "choice" or resolved.values[one.name] != one.default_for(request.preset)
    }
    models = tuple(
        RecipeModel(
            portable_name(model),
            {name: value[index] for name, value in stated.items() if isinstance(value, tuple)},
            model.label,
        )
        for index, model in enumerate(prepared.models)
    )
    return Recipe(
        method=method.name,
        models=models,
        base=portable_name(prepared.base) if prepared.base is not None else None,
        parameters={name: value for name, value in stated.items() if not isinstance(value, tuple)},
        out_dtype=prepared.requested_dtype,
        preset=request.preset,
        seed=request.seed,
    ).to_yaml()


def portable_name(checkpoint: Checkpoint) -> str:
    """The source as others may read it: a hub id stays, a path becomes the label."""
    if checkpoint.reference is not None:
        return checkpoint.reference + (f"@{checkpoint.revision}" if checkpoint.revision else "")
    return portable_source(checkpoint.source, checkpoint.label) if checkpoint.files else checkpoint.label


def _front_matter(prepared: Prepared) -> str:
    lines = []
    # A folder's `_name_or_path` is no id of it: it says what the model was fine-tuned from.
    ids = list(dict.fromkeys(source.reference for source in prepared.sources if source.reference is not None))
    if ids:
        lines += ["base_model:", *(f"- {name}" for name in ids), "base_model_relation: merge"]
    source = config_source(prepared.sources)
    if source is not None and source.config and {"model_type", "architectures"} & source.config.keys():
        lines.append("library_name: transformers")
    lines += ["tags:", "- merge", "- fusion_kernels"]
    lines += [f"{key}: {value}" for key, value in _common_license(prepared.sources).items()]
    return "\n".join(lines) + "\n"


def _body(prepared: Prepared, recipe: str) -> str:
    method, target, base, models = prepared.method, prepared.target, prepared.base, prepared.models
    assert method is not None
    assert target is not None
    per_model = {name: value for name, value in prepared.parameters.items() if isinstance(value, Mapping)}
    shared = {name: value for name, value in prepared.parameters.items() if name not in per_model}
    paper = method.paper
    cited = f" ([{paper['title']}]({paper['url']}), {paper['authors']}, {paper['year']})" if paper else ""
    parts = [
        f"# {target.path.name}",
        f"A merge of {counted(len(models), 'model')}, made with fusion_kernels {__version__}.",
        f"## Method\n\n`{method.name}`: {method.summary.rstrip('.')}{cited}.",
        *([f"The base model is {_link(base)}."] if base is not None else []),
        "## Models\n\n"
        + _table(
            ["model", *per_model],
            [[_link(model), *(show(value[model.label]) for value in per_model.values())] for model in models],
        ),
    ]
    if shared:
        rows = [[f"`{name}`", show(value)] for name, value in shared.items()]
        parts.append("## Parameters\n\n" + _table(["parameter", "value"], rows))
    parts.append(f"## Recipe\n\n```yaml\n{recipe}```")
    return "\n\n".join(parts) + "\n"


def _link(checkpoint: Checkpoint) -> str:
    known = checkpoint.reference
    return f"[{known}](https://huggingface.co/{known})" if known is not None else portable_name(checkpoint)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = (head, ["---"] * len(head), *rows)
    return "\n".join(
        f"| {' | '.join(cell.replace('|', '/').replace(chr(10), ' ') for cell in line)} |" for line in lines
    )


def _common_license(inputs: Sequence[Checkpoint]) -> dict[str, str]:
    licenses = [_license(checkpoint) for checkpoint in inputs]
    agreed = bool(licenses) and all(one == licenses[0] for one in licenses)
    return licenses[0] if agreed else {}


def _license(checkpoint: Checkpoint) -> dict[str, str]:
    """License entries of a model's own card; empty if it has none or states several."""
    card = checkpoint.folder / CARD if checkpoint.folder is not None else None
    if card is None or not card.is_file():
        return {}
    text = card.read_text(encoding="utf-8-sig", errors="replace")
    front = re.match(r"---\s*\n(.*?)\n---\s*(?:\n|$)", text, re.DOTALL)
    entries = re.findall(r"^(\w+):[ \t]*(\S.*?)[ \t]*$", front[1], re.MULTILINE) if front else []
    found = {key: value for key, value in entries if key in _LICENSE_KEYS}
    return found if "license" in found and not found["license"].startswith(("[", "|", ">", "#")) else {}
