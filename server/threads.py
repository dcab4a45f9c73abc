"""LangGraph's threads: sessions under the names that its clients speak."""

from fastapi import APIRouter

router = APIRouter()
