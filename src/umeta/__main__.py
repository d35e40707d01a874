"""Lets `python -m umeta` do what `umeta` does."""

import sys

from umeta.cli.main import main

sys.exit(main())
