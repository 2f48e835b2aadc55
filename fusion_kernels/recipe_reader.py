"""Checks a recipe's data key by key against what mergekit's configuration means here."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from fusion_kernels.dtypes import DTYPES, parse_dtype
from fusion_kernels.errors import listing, quoted, suggest
from fusion_kernels.parameters import MethodInfo, Preset, Scalar, check_preset, check_value, plain, registry
from fusion_kernels.yaml_text import Document

T = TypeVar("T")

__all__ = ["MERGEKIT_PARAMETERS", "RecipeReader"]

_TOP = ("merge_method", "models", "base_model", "parameters", "dtype", "out_dtype", "seed", "preset")
_LATER = {
    "slices": "slices (merging layer ranges)",
    "modules": "modules (merging the parts of a multimodal model apart)",
    "tokenizer": "tokenizer (merging vocabularies)",
    "tokenizer_source": "tokenizer_source (merging vocabularies)",
    "chat_template": "chat_template (choosing a chat template)",
    "name": "name (a stage of a multi-stage merge)",
}
_OUR_WORDS = {"method": "merge_method", "base": "base_model", "output_dtype": "out_dtype", "random_seed": "seed"}
# Every parameter some method of mergekit reads; under another method mergekit passes over it in silence.
MERGEKIT_PARAMETERS = frozenset((
    "alpha", "density", "eps", "epsilon", "filter_wise", "gamma", "int8_mask", "lambda", "max_iter", "normalize",
    "normalize_weights", "nuslerp_flatten", "nuslerp_row_wise", "r", "rescale", "scale", "select_topk", "t", "tol",
    "weight",
))  # fmt: skip


class RecipeReader:
    """Reads one document; every method raises naming the line or key path, and collects notes about what is unused."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self.notes: list[str] = []
        if not isinstance(document.data, Mapping):
            raise ValueError(self._not_a_mapping())
        self._data: Mapping[Any, Any] = document.data

    def check_keys(self) -> None:
        """Refuse top-level keys by name: those of mergekit not available here yet, and those nobody knows."""
        for key, value in self._data.items():
            if key in _TOP or (key in _LATER and value is None):
                continue
            if key in _LATER:
                raise NotImplementedError(f"{self._at(key)}: {_LATER[key]} is not available yet; remove it")
            if key in MERGEKIT_PARAMETERS:
                raise ValueError(f"{self._at(key)}: a method's parameter; write it under 'parameters:'")
            hint = f" Did you mean {_OUR_WORDS[key]!r}?" if key in _OUR_WORDS else suggest(key, [*_TOP, *_LATER])
            raise ValueError(f"{self._at(key)}: unknown key {quoted(key)}; known: {listing(_TOP)}.{hint}")

    def method_name(self) -> str:
        """``merge_method`` as written."""
        return self._text("merge_method", "name a method, for example 'merge_method: ties'")

    def text(self, key: str) -> str | None:
        """An optional top-level text."""
        return None if self._data.get(key) is None else self._text(key, "text is expected")

    def preset(self) -> Preset:
        """``preset``, by default mergekit's."""
        value = self._data.get("preset")
        return "mergekit" if value is None else self._checked("preset", lambda: check_preset(value))

    def seed(self) -> int:
        """``seed``: an integer in [0, 2^64)."""
        value = self._data.get("seed", 0)
        value = 0 if value is None else value
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**64:
            raise ValueError(f"{self._at('seed')}: an integer in [0, 2^64) is expected, got {quoted(value)}")
        return value

    def dtype(self, key: str) -> str | None:
        """``dtype`` or ``out_dtype`` under the name mergekit knows (``bfloat16`` for bf16), or None."""
        value = self._data.get(key)
        if value is None:
            return None
        dtype = DTYPES[self._checked(key, lambda: parse_dtype(value))]
        if not dtype.mergeable:
            raise ValueError(f"{self._at(key)}: {quoted(value)} is no format weights can be merged into")
        return dtype.torch_name or dtype.code

    def base(self) -> str | None:
        """The source of ``base_model``, or None."""
        value = self._data.get("base_model")
        return None if value is None else self._source(value, "base_model")

    def models(self) -> list[tuple[str, Mapping[str, Any]]]:
        """Source and raw parameters of every entry of ``models``, in order."""
        entries = self._data.get("models")
        if not isinstance(entries, list) or not entries:
            missing = "models" not in self._data
            got = "it is missing" if missing else f"got {quoted(entries)}"
            raise ValueError(f"{self._at('models')}: a list of models is expected ('- model: org/name'), {got}")
        return [self._model(entry, f"models[{index}]") for index, entry in enumerate(entries)]

    def parameters(self, where: str = "") -> Mapping[str, Any]:
        """The raw ``parameters`` at the top level."""
        return self._parameters(self._data.get("parameters"), f"{where}parameters")

    def check_parameters(
        self, method: MethodInfo, raw: Mapping[str, Any], path: str, *, of_model: bool, unused: str = ""
    ) -> dict[str, Scalar]:
        """The values at ``path``, typed and in range; ``unused`` says why none of them has an effect (then only kept).

        Raises NotImplementedError for gradients and filters, ValueError for anything that cannot be meant.
        """
        checked: dict[str, Scalar] = {}
        for key, value in raw.items():
            at = f"{path}.{key}"
            parameter = method.parameter(key) if key != "lambda_" else None
            if parameter is None:
                self._check_known(method, key, at)
            self._check_plain(value, at)
            if parameter is None or unused or (of_model and not parameter.per_model):
                checked[key] = value
                if parameter is not None:
                    reason = unused or f"{key} is one value for the whole merge; write it under the top 'parameters:'"
                    self.notes.append(f"{at} has no effect: {reason}")
                continue
            if parameter.type == "boolean" and not isinstance(value, bool) and value in (0, 1):
                value = bool(value)  # mergekit writes its own booleans back as 1.0 and 0.0
            checked[key] = self._checked(at, partial(check_value, method, parameter, value))
        return checked

    def _check_known(self, method: MethodInfo, key: str, at: str) -> None:
        if key in method.ignored_keys or key in MERGEKIT_PARAMETERS:
            self.notes.append(f"{at} has no effect: {method.name} does not use it")
            return
        own = [one.name for one in method.parameters]
        owners = [other.name for other in registry().values() if other.parameter(key) is not None and key != "lambda_"]
        belongs = f" (it belongs to {listing(owners)})" if owners else ""
        hint = "" if owners else suggest(key, {*own, *method.ignored_keys})
        raise ValueError(
            f"{self._at(at)}: {method.name} has no parameter {quoted(key)}{belongs}; it takes: {listing(own)}.{hint}"
        )

    def _check_plain(self, value: Any, at: str) -> None:
        """Refuse by name the forms of mergekit's values that vary over layers or tensors."""
        conditional = isinstance(value, Mapping) and {"value", "filter"} & value.keys()
        if conditional or (isinstance(value, list) and any(isinstance(one, Mapping) for one in value)):
            raise NotImplementedError(
                f"{self._at(at)}: filters (a value per group of tensors) are not available yet; give one value"
            )
        if isinstance(value, list):
            raise NotImplementedError(
                f"{self._at(at)}: a list is a gradient (values interpolated over the layers), which is not available "
                "yet; give one value. Values per model go under each model's own 'parameters:'"
            )
        if value is None:
            raise ValueError(f"{self._at(at)}: no value; write one after the ':' or remove the key")
        if isinstance(value, Mapping):
            raise ValueError(f"{self._at(at)}: one value is expected, got a mapping {quoted(value)}")

    def _model(self, entry: Any, path: str) -> tuple[str, Mapping[str, Any]]:
        if not isinstance(entry, Mapping):
            raise ValueError(f"{self._at(path)}: expected '- model: org/name', got {quoted(entry)}")
        for key in entry:
            if key in ("model", "parameters"):
                continue
            at = f"{path}.{key}"
            if key in MERGEKIT_PARAMETERS:
                raise ValueError(f"{self._at(at)}: a method's parameter; write it under this model's 'parameters:'")
            if key == "layer_range":
                raise NotImplementedError(f"{self._at(at)}: layer ranges are not available yet; remove it")
            raise ValueError(
                f"{self._at(at)}: unknown key {quoted(key)}; a model takes: model, parameters."
                f"{suggest(key, ('model', 'parameters'))}"
            )
        if entry.get("model") is None:
            raise ValueError(f"{self._at(path)}: 'model' is missing: a folder, a .safetensors file or a hub id")
        source = self._source(entry["model"], f"{path}.model")
        return source, self._parameters(entry.get("parameters"), f"{path}.parameters")

    def _parameters(self, value: Any, path: str) -> Mapping[str, Any]:
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            raise ValueError(f"{self._at(path)}: 'name: value' lines are expected, got {quoted(value)}")
        return {key if isinstance(key, str) else quoted(key): plain(one) for key, one in value.items()}

    def _source(self, value: Any, path: str) -> str:
        """A model reference as one text: path or hub id, with ``@revision`` where one is given."""
        if isinstance(value, os.PathLike):
            value = os.fspath(value)
        if isinstance(value, Mapping):
            return self._source_mapping(value, path)
        if not isinstance(value, str) or not value.strip():
            hint = " (put it in quotes)" if value is not None and not isinstance(value, (str, list)) else ""
            raise ValueError(f"{self._at(path)}: a path or hub id is expected, got {quoted(value)}{hint}")
        if "+" in value and not os.path.exists(value):
            raise NotImplementedError(
                f"{self._at(path)}: {quoted(value)} adds a LoRA adapter to a model, which is not available yet; "
                "merge the adapter into the model first"
            )
        return value.strip()

    def _source_mapping(self, value: Mapping[Any, Any], path: str) -> str:
        known = ("path", "revision") if "path" in value else ("model", "lora", "override_architecture")
        for key in value:
            if key not in known:
                raise ValueError(f"{self._at(f'{path}.{key}')}: unknown key {quoted(key)}.{suggest(key, known)}")
        if value.get("lora") is not None:
            raise NotImplementedError(f"{self._at(f'{path}.lora')}: LoRA adapters are not available yet; remove it")
        if value.get("override_architecture") is not None:
            self.notes.append(f"{path}.override_architecture has no effect: tensors are matched by their names")
        if "path" not in value:
            return self._source(value.get("model"), f"{path}.model")
        revision = value.get("revision")
        return self._source(value["path"], f"{path}.path") + (f"@{revision}" if revision is not None else "")

    def _text(self, key: str, expected: str) -> str:
        value = self._data.get(key)
        if not isinstance(value, str) or not value.strip():
            got = "it is missing" if key not in self._data else f"got {quoted(value)}"
            raise ValueError(f"{self._at(key)}: {expected}; {got}")
        return value.strip()

    def _checked(self, path: str, check: Callable[[], T]) -> T:
        try:
            return check()
        except ValueError as error:
            raise ValueError(f"{self._at(path)}: {error}") from None

    def _at(self, path: str) -> str:
        return self._document.place(path)

    def _not_a_mapping(self) -> str:
        data, name = self._document.data, self._document.name
        if isinstance(data, str) and data.strip().lower().endswith((".yml", ".yaml")):
            return f"{name} is the text {quoted(data)}; to read that file use Recipe.load({quoted(data)})"
        return f"{name} must be 'key: value' lines with at least merge_method and models, got {quoted(data)}"
