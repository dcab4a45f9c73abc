import pytest

from tools.overlays import is_overlay


@pytest.mark.parametrize(
    "text",
    [
        "Google",
        "© 2019 Google",
        "Gooqle",
        "Street View",
        "Image capture: May 2019 © Google",
        "Mapillary",
        "KartaView",
        "shutterstock",
        "www.shutterstock.com",
        "iStock by Getty Images",
        "gettyimages",
        "alamy stock photo",
        "Shot on OnePlus",
        "HUAWEI P30 LEICA TRIPLE CAMERA",
        "Canon EOS 80D",
        "2014-05-03 12:22",
        "03.05.2014",
        "12:22:07",
        "'98 7 14",
        "2021/06/01 14:05:59 54 km/h",
        "(c) A. Photographer",
    ],
)
def test_words_of_apps_agencies_and_cameras_are_overlays(text: str) -> None:
    assert is_overlay(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Paris",
        "Main Street",
        "View Road",
        "St. Mary",
        "12",
        "1987",
        "+49 30 901820",
        "OPEN 08:00",
        "Mo-Fr 8:00-18:00",
        "Mon 8:00 - 12:00",
        "Stock Exchange",
        "May",
        "Betty",
        "Alamo",
        "東京駅",
        "Bahnhofstraße 12",
    ],
)
def test_words_painted_on_the_world_are_not(text: str) -> None:
    assert not is_overlay(text)
