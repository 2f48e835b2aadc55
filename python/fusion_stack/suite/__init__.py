"""The offline suite: a real model and real tasks from package registries, fine-tuned, merged and tested anywhere."""
