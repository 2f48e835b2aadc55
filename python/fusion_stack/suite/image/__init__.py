"""The suite's images: EfficientNet-Lite0, its fine-tunes, and the pictures they are trained and tested on."""
