"""Merge four real fine-tunes of one real model, then measure what each merging method keeps. Run `make demo`."""
