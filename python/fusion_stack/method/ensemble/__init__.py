"""Methods that keep every model and combine their outputs."""
