"""Two ways to a merge method of one's own: a class for whole models, and a function for their tensors."""
