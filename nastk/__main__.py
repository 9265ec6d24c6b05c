"""`python -m nastk` is `nastk`, for launchers that start modules."""

from nastk.cli import main

if __name__ == "__main__":
    main()
