"""Where models come from by name, and what is said where they cannot be had."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import types
from pathlib import Path
from typing import Any

import pytest

from fusion_stack.modelpool.platforms import locate


def test_a_path_wins_and_a_scheme_says_the_platform(tmp_path: Path) -> None:
    assert locate(str(tmp_path), platform="modelscope") == str(tmp_path)
    assert locate("openai/clip") == locate("hf://openai/clip", platform="modelscope") == "openai/clip"
    with pytest.raises(ValueError, match=r"platform 'model-scope' is not known.*Did you mean 'modelscope'"):
        locate("a/b", platform="model-scope")


def test_modelscope_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "modelscope", None)
    with pytest.raises(ImportError, match="pip install modelscope"):
        locate("damo/bert", platform="modelscope")


def test_a_model_of_modelscope_is_a_folder_in_its_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model_folders: dict[str, str]
) -> None:
    pytest.importorskip("torch")
    from fusion_stack.modelpool import CausalLMPool

    asked = []

    def snapshot_download(name: str, repo_type: str) -> str:
        asked.append((name, repo_type))
        if name == "owner/gone":
            raise ConnectionError("no route to modelscope.cn")
        return model_folders["a"]

    module: Any = types.ModuleType("modelscope")
    module.snapshot_download = snapshot_download
    monkeypatch.setitem(sys.modules, "modelscope", module)
    pool = CausalLMPool({"a": "owner/model", "b": "modelscope://owner/gone"}, platform="modelscope")
    assert str(pool.source("a").folder) == model_folders["a"]
    assert asked == [("owner/model", "model")]
    with pytest.raises(
        FileNotFoundError, match=r"would have fetched https://modelscope.cn/models/owner/gone; .*no route"
    ):
        pool.source("b")


@pytest.mark.parametrize("asked", ["source", "load_model", "load_processor", "load_test_dataset"])
def test_offline_errors_say_what_would_have_been_fetched(asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    import datasets.config
    import huggingface_hub.constants

    from fusion_stack.modelpool import CLIPVisionModelPool

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_OFFLINE", True, raising=False)
    pool = CLIPVisionModelPool({"_pretrained_": "owner/no-such-clip"}, test_datasets={"dtd": "owner/no-such-dtd"})
    ask = {"load_processor": pool.load_processor, "load_test_dataset": lambda: pool.load_test_dataset("dtd")}
    with pytest.raises(FileNotFoundError) as caught:
        ask.get(asked, lambda: getattr(pool, asked)("_pretrained_"))()
    what = "datasets/owner/no-such-dtd" if asked == "load_test_dataset" else "owner/no-such-clip"
    assert f"ould have fetched {huggingface_hub.constants.ENDPOINT}/{what}" in str(caught.value)
    assert f"hf download {what.removeprefix('datasets/')}" in str(caught.value)
    assert "ffline mode" in str(caught.value)


@pytest.fixture
def no_connection(monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a hub that does not answer."""
    import datasets.config
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:1")
    return "http://127.0.0.1:1"


@pytest.mark.parametrize("asked", ["source", "load_model", "load_processor", "load_test_dataset"])
def test_without_a_connection_it_is_said_at_once(asked: str, no_connection: str) -> None:
    """huggingface_hub alone tries for half a minute, for every file of a model."""
    pytest.importorskip("torch")
    import datasets.config
    import huggingface_hub.constants

    from fusion_stack.modelpool import CLIPVisionModelPool

    pool = CLIPVisionModelPool({"_pretrained_": "owner/no-such-clip"}, test_datasets={"dtd": "owner/no-such-dtd"})
    ask = {"load_processor": pool.load_processor, "load_test_dataset": lambda: pool.load_test_dataset("dtd")}
    started = time.monotonic()
    with pytest.raises(FileNotFoundError) as caught:
        ask.get(asked, lambda: getattr(pool, asked)("_pretrained_"))()
    assert time.monotonic() - started < 15  # mostly imports
    what = "datasets/owner/no-such-dtd" if asked == "load_test_dataset" else "owner/no-such-clip"
    assert f"ould have fetched {no_connection}/{what}" in str(caught.value)
    assert f"hf download {what.removeprefix('datasets/')}" in str(caught.value)
    assert "cannot be reached" in str(caught.value)
    assert not huggingface_hub.constants.HF_HUB_OFFLINE, "left switched off"
    assert not datasets.config.HF_HUB_OFFLINE


def test_the_default_run_without_a_connection(tmp_path: Path) -> None:
    """A few seconds, of which hardly any go to libraries that would load the model."""
    script = "import sys; from fusion_stack.cli import main\ntry: main()\nfinally: print('torch' in sys.modules)"
    hub = {"HF_ENDPOINT": "http://127.0.0.1:1", "HF_HOME": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "0"}
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env={**os.environ, **hub}, capture_output=True, text=True
    )
    assert time.monotonic() - started < 15  # 2 on an idle machine
    assert done.returncode == 1
    where = "Would have fetched http://127.0.0.1:1/openai/clip-vit-base-patch32; run `hf download openai/clip-"
    assert where in done.stderr
    assert done.stdout.strip() == "False"


def test_importing_the_pools_imports_nothing_heavy() -> None:
    code = (
        "import sys; from fusion_stack import modelpool; [getattr(modelpool, name) for name in modelpool.__all__]; "
        "print([name for name in ('torch', 'transformers', 'datasets', 'peft', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_models_that_do_not_fit_are_named(model_folders: dict[str, str], tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from transformers import GPT2Config, GPT2LMHeadModel

    from fusion_stack.method import EngineMethod
    from fusion_stack.modelpool import CausalLMPool

    GPT2LMHeadModel(GPT2Config(n_embd=8, n_layer=1, n_head=2, vocab_size=64, n_positions=16)).save_pretrained(tmp_path)
    pool = CausalLMPool({"_pretrained_": model_folders["_pretrained_"], "small": str(tmp_path)})
    with pytest.raises(ValueError, match=r"small.*"):
        EngineMethod("task_arithmetic", scaling_factor=0.3).run(pool)
    without = CausalLMPool({"a": model_folders["a"], "b": model_folders["b"]})
    with pytest.raises(ValueError, match=r"no base.*modelpool\.models\._pretrained_=PATH"):
        EngineMethod("task_arithmetic", scaling_factor=0.3).run(without)
    with pytest.raises(KeyError, match=r"no model 'smal' in the modelpool.*Did you mean 'small'"):
        pool.load_model("smal")
    with pytest.raises(ValueError, match="dtype 'bfloat' is none of torch's"):
        CausalLMPool(model_folders, model_kwargs={"torch_dtype": "bfloat"}).load_model("a")
    with pytest.raises(TypeError, match=r"no parameter 'tokeniser'.*Did you mean 'tokenizer'"):
        CausalLMPool(model_folders, tokeniser="x")
