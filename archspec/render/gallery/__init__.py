"""Pictures and pages of the results of `archspec.explain`."""
