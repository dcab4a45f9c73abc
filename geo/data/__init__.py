"""Data shipped with `geo`, and the script that makes it."""
