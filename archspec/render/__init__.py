"""Reports and diagnostics as something to look at. Numbers come in; only text goes out."""
