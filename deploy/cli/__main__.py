"""`python -m deploy.cli`: the same as `squall`."""

from deploy.cli import main

if __name__ == "__main__":
    main()
