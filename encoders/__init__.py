"""Encoders that turn photos into vectors of one space."""
