"""Uploads a merged model to the Hugging Face hub."""

from __future__ import annotations

import logging
from pathlib import Path

log = logging.getLogger(__name__)


def push_to_hub(folder: Path, repository: str | bool) -> None:
    """Creates the model repository where it does not exist and uploads the folder.

    repository: "org/name". Raises ValueError for `true`, and what huggingface_hub raises without access.
    """
    if not isinstance(repository, str) or repository.count("/") != 1:
        raise ValueError(f"push_to_hub={repository}: name the repository, push_to_hub=ORG/NAME, or false")
    from huggingface_hub import HfApi

    api = HfApi()
    api.create_repo(repository, exist_ok=True)
    api.upload_folder(repo_id=repository, folder_path=str(folder))
    log.info("uploaded the merged model to %s", repository)
