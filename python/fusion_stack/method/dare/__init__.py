"""Methods that drop elements of the task vectors at random (Yu et al. 2024, arXiv:2311.03099)."""
