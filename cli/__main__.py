"""`python -m archspec.cli`: the command of this interpreter, whatever PATH says."""

from . import main

main(prog_name="archspec")
