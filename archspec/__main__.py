"""`python -m archspec`: the command of this interpreter, whatever PATH says."""

from archspec.cli import main

if __name__ == "__main__":
    main(prog_name="archspec")
