"""`python -m btcts`."""

from btcts.cli import main

if __name__ == "__main__":
    main()
