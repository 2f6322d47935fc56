"""`python -m btcts`."""

from btcts.cli.main import main

if __name__ == "__main__":
    main()
