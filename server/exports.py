"""Exports of a session: report, GeoJSON, KML, CSV, Markdown, case file."""

from fastapi import APIRouter

router = APIRouter()
