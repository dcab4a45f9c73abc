"""One photo in, one answer out."""

from fastapi import APIRouter

router = APIRouter()
