"""The specs that come with archspec, one YAML file a family."""
