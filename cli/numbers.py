"""Numbers as options: within a range, and numbers at all."""

import math
from typing import Any

import click


class Number(click.FloatRange):
    """A float in a range; `nan`, which compares with nothing, is in none."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Refuse what is no number."""
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is no number; give one", param, ctx)
        return float(number)
