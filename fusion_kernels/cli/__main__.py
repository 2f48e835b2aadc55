"""Runs `python -m fusion_kernels.cli`."""

import sys

from fusion_kernels.cli import main

sys.exit(main())
