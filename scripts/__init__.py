"""The command line: each script parses, calls and prints."""
