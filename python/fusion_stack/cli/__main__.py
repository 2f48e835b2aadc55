"""`python -m fusion_stack.cli` is the command `fusion-stack`."""

from fusion_stack.cli import main

if __name__ == "__main__":
    main()
