"""Published compositions of ops, one file an idea. A new file here is a new kind everywhere."""
