"""Any models: modules in memory, folders and hub ids whose architecture their config.json names."""

from __future__ import annotations

from typing import Any

from fusion_stack.modelpool.base import BaseModelPool


class ModelPool(BaseModelPool):
    """A pool of models of any one architecture that `transformers` knows, or of torch modules."""

    def from_pretrained(self, path: str, *args: Any, **kwargs: Any) -> Any:
        """The class that config.json names under "architectures" where transformers has it, else AutoModel's choice."""
        import transformers

        config = transformers.AutoConfig.from_pretrained(path)
        named = [getattr(transformers, name, None) for name in config.architectures or ()]
        cls = next((one for one in named if one is not None), transformers.AutoModel)
        return cls.from_pretrained(path, *args, **kwargs)
