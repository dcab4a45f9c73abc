"""LangGraph's runs and their streams."""

from fastapi import APIRouter

router = APIRouter()
