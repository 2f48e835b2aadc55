"""Spearman's rank correlation."""

from __future__ import annotations

from collections.abc import Sequence


def rank_correlation(predictions: Sequence[float], targets: Sequence[float]) -> float:
    """Spearman's rho; 0 where all predictions, or all targets, are equal and it has no value."""
    import torch
    from torchmetrics.functional import spearman_corrcoef

    if len(set(predictions)) < 2 or len(set(targets)) < 2:
        return 0.0
    both = torch.tensor(predictions, dtype=torch.float64), torch.tensor(targets, dtype=torch.float64)
    return float(spearman_corrcoef(*both))
