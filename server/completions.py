"""OpenAI's chat completions: any chat client talks to the geolocator as to a model."""

from fastapi import APIRouter

router = APIRouter()
