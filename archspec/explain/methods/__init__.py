"""The methods of `archspec.explain`, one file each."""
