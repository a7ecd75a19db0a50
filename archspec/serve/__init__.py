"""Servers: a language server for editors, a live page for browsers."""
