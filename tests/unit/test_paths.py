from pathlib import Path

import pytest

from geo.errors import UnavailableError
from geo.paths import home


def test_home_is_where_the_variable_says_and_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRATICULE_HOME", str(tmp_path / "new" / "home"))
    assert home() == tmp_path / "new" / "home"
    assert home().is_dir()


def test_home_is_the_users_cache_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRATICULE_HOME", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert home().name.lower() == "graticule"


def test_a_home_that_cannot_be_made_is_named_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GRATICULE_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(UnavailableError, match="GRATICULE_HOME"):
        home()
