"""`python -m multimode_ot COMMAND`, as `multimode-ot COMMAND`."""

from .commands import main

if __name__ == "__main__":
    main()
