"""What a run leaves behind, and tables made of several."""
