"""Sessions in PostgreSQL: what the file does, and one writer among several hosts."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.factors import Settlements
from agent.session_records import SessionBusyError
from agent.session_store import open_store
from agent.sessions import Sessions
from agent.settings import Settings
from geo.errors import InputError, UnavailableError
from tests.postgres_server import postgres
from tests.unit.session_samples import Steady, quick_geolocators
from tests.unit.test_sessions import OTHER, PHOTO

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with postgres(tmp_path_factory.mktemp("postgres") / "server") as address:
        yield address


def opened(home: Path, address: str, settlements: Settlements) -> Sessions:
    settings = Settings(home=home, sessions_url=address)
    return Sessions(settings, quick_geolocators(settings, settlements, lambda _: Steady()))


def test_a_session_lives_in_the_database(
    tmp_path: Path, address: str, settlements: Settlements
) -> None:
    with opened(tmp_path, address, settlements) as sessions:
        info = sessions.create(PHOTO, name="quay")
        first = sessions.send(info.id).wait(60)
        second = sessions.send(info.id, "It is in Germany", photos=[OTHER]).wait(60)
        assert first
        assert second
        assert second.revision == 2
        branch = sessions.fork(info.id, sessions.history(info.id)[5].checkpoint_id)
        assert sessions.resume(branch.id).wait(60)
    assert not (tmp_path / "sessions.sqlite").exists()
    with opened(tmp_path, address, settlements) as later:
        assert later.get(info.id).revision == 2
        assert later.snapshot(info.id).values["answer"].revision == 2
        assert {one.id for one in later.search()} == {info.id, branch.id}
        later.delete(info.id)
        later.delete(branch.id)
        assert later.search() == []
        assert list(later.store.saver.list(None)) == []


def test_hosts_do_not_write_at_the_same_time(
    tmp_path: Path, address: str, settlements: Settlements
) -> None:
    with (
        opened(tmp_path / "one", address, settlements) as here,
        opened(tmp_path / "two", address, settlements) as there,
    ):
        info = here.create(PHOTO)
        lock = here.store.lock(info.id)
        assert lock is not None
        with pytest.raises(SessionBusyError):
            there.delete(info.id)
        lock.close()
        there.delete(info.id)


def test_an_address_that_is_none_is_told() -> None:
    with pytest.raises(InputError, match="postgresql://USER@HOST"):
        open_store("mysql://somewhere", Path())


def test_a_server_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.session_store.BUSY_S", 0.5)
    with pytest.raises(UnavailableError, match="no sessions at postgresql") as told:
        open_store("postgresql://me:secret@127.0.0.1:9/x", Path())
    assert "secret" not in str(told.value)
