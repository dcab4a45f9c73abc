"""LangGraph's assistants: the recipes that a run may follow."""

from fastapi import APIRouter

router = APIRouter()
