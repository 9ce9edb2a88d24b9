"""`python -m captoolkit` runs `captoolkit`."""

import sys

from captoolkit.cli import main

sys.exit(main())
