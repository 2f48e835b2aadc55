"""Linear combinations of models that treat some layers differently."""
