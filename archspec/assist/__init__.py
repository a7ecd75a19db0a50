"""Help while a spec is written: one feature a module, each a function of a document."""
