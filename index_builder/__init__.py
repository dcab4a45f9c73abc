"""Galleries: sources of geotagged photos into searchable collections."""
