"""Any models: modules in memory, folders and hub ids whose architecture their config.json names."""

from __future__ import annotations

from fusion_stack.modelpool.loading import explained
from fusion_stack.modelpool.pretrained import PretrainedModelPool


class ModelPool(PretrainedModelPool):
    """A pool of models of any one architecture that `transformers` knows, or of torch modules."""

    def class_for(self, path: str) -> str:
        """What config.json names under "architectures" where transformers has it, else AutoModel."""
        import transformers

        with explained(path):
            config = transformers.AutoConfig.from_pretrained(path)
        named = [name for name in config.architectures or () if hasattr(transformers, name)]
        return named[0] if named else self.auto_class
