"""Trimming over a whole model: one cut through all merged tensors, laid end to end in the order of their names."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from oracle import consensus
from oracle.contract import Inputs, Merged, Working
from oracle.sparsifiers import outliers, sparse
from oracle.statistics import kept

CONSENSUS = {"ties": consensus.sign, "breadcrumbs": consensus.linear, "breadcrumbs_ties": consensus.sign}


def merge(method: str, tensors: Sequence[Inputs], working: Working) -> list[Merged]:
    """One result for each tensor, in the order given. All have the same parameters; factors are a tensor's own."""
    masks = cut(tensors)
    densities = tensors[0].parameters["density"]
    return [
        CONSENSUS[method](inputs, sparse(inputs, list(own), densities), working)
        for inputs, own in zip(tensors, masks, strict=True)
    ]


def cut(tensors: Sequence[Inputs]) -> list[list[np.ndarray]]:
    """For each tensor and model: which elements the model keeps, of equals those of the tensor whose name is first."""
    order = sorted(range(len(tensors)), key=lambda i: tensors[i].name.encode())
    ends = np.cumsum([tensors[i].models[0].size for i in order])[:-1]
    parameters = tensors[0].parameters
    masks: list[list[np.ndarray]] = [[] for _ in tensors]
    for model, density in enumerate(parameters["density"]):
        whole = np.concatenate([tensors[i].deltas[model].ravel() for i in order])
        skipped = outliers(density, parameters["gamma"][model], whole.size) if "gamma" in parameters else 0
        for i, mask in zip(order, np.split(kept(whole, density, skipped), ends), strict=True):
            masks[i].append(mask.reshape(tensors[i].deltas[model].shape))
    return masks
