"""Benchmarks, scores, calibration, the rendered test world; `score` is the public name."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evaluation.scoring import Score, score

__all__ = ["Score", "score"]


def __getattr__(name: str) -> object:
    """Load public names on first use, so that `import evaluation` stays instant."""
    if name in __all__:
        from evaluation import scoring

        return getattr(scoring, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
