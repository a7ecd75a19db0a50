"""Pictures and pages of what the methods of `archspec.explain` find."""
