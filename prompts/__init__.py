"""Markdown prompt files and their loader; imports nothing of ours."""
