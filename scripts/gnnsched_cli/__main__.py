"""`python -m gnnsched_cli` is `gnnsched`."""

from gnnsched_cli.main import main

raise SystemExit(main())
