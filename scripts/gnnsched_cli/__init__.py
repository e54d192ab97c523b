"""The command `gnnsched`: a file a subcommand, which parses, calls the library and prints.

The file `check_trace.py` is the subcommand `check-trace`; `main.SUBCOMMANDS` lists them all. Such a file has

* a docstring, which is the description in its help,
* `Arguments`, what tyro parses: a dataclass whose fields are the options, or a union of subcommands of its own,
* `run(arguments)`, which returns the exit status, or None for 0,
* where defaults depend on the command line itself, `options(words)`, which returns what tyro parses instead of
  `Arguments`, and an instance of it that gives the defaults (`tyro.MISSING_NONPROP`: none).

Help must come at once, so a file imports at its top only what its options need; what it runs is imported in functions.
"""

from gnnsched_cli import interrupts

interrupts.install()
