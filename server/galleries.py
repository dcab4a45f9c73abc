"""Which galleries are open, and what they hold."""

from fastapi import APIRouter

router = APIRouter()
