"""The command line: parse, call the library, render, exit code. One command a file."""
