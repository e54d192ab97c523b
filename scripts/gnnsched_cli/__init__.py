"""The command `gnnsched`: a file a subcommand, each of which parses, calls and prints."""
