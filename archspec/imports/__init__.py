"""Model files of other programs become graphs of archspec's ops, without those programs."""
