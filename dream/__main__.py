"""`python -m dream` is the `dream` command."""

from dream.cli import main

if __name__ == "__main__":
    main()
