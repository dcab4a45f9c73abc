"""The density map: equal areas look equal, colours follow counts, every point is counted."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from index_builder import density_map
from index_builder.density_map import (
    CELL_KM2,
    CELL_PX,
    EARTH_KM2,
    MAP_HEIGHT,
    MAP_LEFT,
    MAP_TOP,
    MAP_WIDTH,
    WIDTH_PX,
    DensityGrid,
    draw_density,
    equal_earth,
    on_picture,
)

degrees = st.tuples(st.floats(-90, 90), st.floats(-180, 180))


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def test_the_projection_is_the_published_one() -> None:
    """Savric et al. 2018: the pole line is 0.59247 of the equator, the aspect 2.05458."""
    x, y = equal_earth([0.0, 90.0, 90.0, 0.0], [180.0, 180.0, 0.0, 0.0])
    assert x[1] / x[0] == pytest.approx(0.59247, abs=1e-4)
    assert x[0] / y[2] == pytest.approx(2.05458, abs=1e-4)
    assert (x[3], y[3]) == (0, 0)


def test_areas_are_equal_everywhere() -> None:
    step = 0.01
    for latitude in (-80.0, -45.0, 0.0, 30.0, 60.0, 85.0):
        x, y = equal_earth(
            [latitude - step, latitude + step, latitude, latitude],
            [100.0, 100.0, 100.0 - step, 100.0 + step],
        )
        area = abs((x[3] - x[2]) * (y[1] - y[0]) - (y[3] - y[2]) * (x[1] - x[0]))
        on_sphere = np.radians(2 * step) ** 2 * np.cos(np.radians(latitude))
        assert area == pytest.approx(on_sphere, rel=1e-4)


def test_a_cell_has_the_area_it_says() -> None:
    rng = np.random.default_rng(0)
    count = 400_000
    grid = DensityGrid()
    grid.add(np.degrees(np.arcsin(rng.uniform(-1, 1, count))), rng.uniform(-180, 180, count))
    inner = grid.cells[20:-20, 90:-90]
    assert inner.mean() == pytest.approx(count * CELL_KM2 / EARTH_KM2, rel=0.02)


@given(st.lists(degrees, min_size=1, max_size=50))
def test_every_point_is_counted_inside_the_map(points: list[tuple[float, float]]) -> None:
    latitude, longitude = np.array(points).T
    grid = DensityGrid()
    grid.add(latitude, longitude)
    grid.add([], [])
    assert grid.points == len(points)
    pixels = on_picture(latitude, longitude)
    assert (pixels >= -0.5).all()
    assert (pixels <= (MAP_WIDTH + 0.5, MAP_HEIGHT + 0.5)).all()


def test_colours_darken_with_the_count_on_the_right_spot() -> None:
    places = [(48.9, 2.4), (35.7, 139.7), (-15.8, -47.9), (-25.0, 134.0)]
    grid = DensityGrid()
    for power, (latitude, longitude) in enumerate(places):
        grid.add(np.full(10**power, latitude), np.full(10**power, longitude))
    picture = opened(draw_density(grid, "gallery", "1,111 photos"))
    assert picture.width == WIDTH_PX
    plain = opened(draw_density(DensityGrid(), "gallery", "nothing"))
    lightness = []
    for latitude, longitude in places:
        column, row = (on_picture([latitude], [longitude])[0] // CELL_PX).astype(int)
        spot = (MAP_LEFT + column * CELL_PX + 2, MAP_TOP + row * CELL_PX + 2)
        assert picture.getpixel(spot) != plain.getpixel(spot)
        red, green, blue = picture.getpixel(spot)  # type: ignore[misc]  # three bands
        lightness.append(0.2126 * red + 0.7152 * green + 0.0722 * blue)
    assert lightness == sorted(lightness, reverse=True)
    assert lightness[0] - lightness[-1] > 80


def test_the_palette_is_ordered_by_lightness() -> None:
    ramp = density_map._colours(np.linspace(0, 1, 200)).astype(float)
    lightness = ramp @ (0.2126, 0.7152, 0.0722)
    assert (np.diff(lightness) < 0.5).all()
    assert lightness[0] > 170
    assert lightness[-1] < 40


@pytest.mark.parametrize("largest", [1, 2, 9, 10, 5_000_000])
def test_any_count_has_a_legend(largest: int) -> None:
    grid = DensityGrid()
    grid.cells[70, 150] = largest
    without = opened(draw_density(DensityGrid(), "a", "b"))
    assert opened(draw_density(grid, "東京 …", "b")).tobytes() != without.tobytes()
    assert density_map._ticks(largest)[0] == 1
    assert all(tick <= largest for tick in density_map._ticks(largest))
