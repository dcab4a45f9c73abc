"""Galleries, recipes, photos; health, readiness, metrics; and the OpenAPI document."""

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from PIL import Image

from agent.factors import Settlements
from agent.recipes import RECIPES
from geo.errors import UnavailableError
from server.problems import MEDIA_TYPE
from tests.unit.photo_samples import encoded, gps_exif, picture
from tests.unit.server_samples import JPEG, PHOTO, Served, refused, serving


@pytest.fixture
async def served(tmp_path: Path, settlements: Settlements) -> AsyncIterator[Served]:
    async with serving(tmp_path, settlements) as found:
        yield found


def counted(text: str) -> dict[str, float]:
    rows = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in rows}


async def test_metrics_tell_what_happened(served: Served) -> None:
    assert (await served.http.post("/v1/locate", content=PHOTO, headers=JPEG)).status_code == 200
    await served.http.post("/v1/locate", content=b"x", headers=JPEG)
    await served.http.get("/v1/sessions/nope")
    for n in range(20):
        await served.http.get(f"/made/up/{n}")
    await served.http.get("/health", headers={"host": "evil.example"})
    reply = await served.http.get("/metrics")
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = counted(reply.text)
    locate = 'graticule_requests_total{method="POST",path="/v1/locate",status='
    assert (found[locate + '"200"}'], found[locate + '"422"}']) == (1, 1)
    assert found['graticule_requests_total{method="GET",path="other",status="404"}'] == 20
    assert found['graticule_rejected_total{reason="unknown_host"}'] == 1
    assert found['graticule_rejected_total{reason="UnknownSessionError"}'] == 1
    assert found['graticule_runs_total{status="idle"}'] == 1
    assert found["graticule_running"] == 0
    assert found["graticule_photos_total"] == 1
    assert found['graticule_tool_calls_total{outcome="ok",tool="find_place"}'] == 1
    assert len(reply.text) < 50_000


async def test_ready_once_warm(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await served.http.get("/health")).json() == {"status": "live"}
    warmed = []

    def warm(_: object) -> None:
        warmed.append(1)
        if len(warmed) == 1:
            raise UnavailableError("model server is away; start it")

    monkeypatch.setattr("agent.geolocator.Geolocator.warm", warm)
    seen: list[Any] = []
    for _ in range(200):
        reply = await served.http.get("/ready")
        seen.append((reply.status_code, *reply.json()["missing"]))
        if reply.status_code == 200:
            break
        assert int(reply.headers["retry-after"]) >= 1
        await asyncio.sleep(0.01)
    assert seen[0][0] == 503
    assert (503, "model server is away; start it") in seen
    assert seen[-1] == (200,)
    assert len(warmed) == 2


async def test_photos_come_without_metadata(served: Served) -> None:
    exif = gps_exif(GPSLatitudeRef="N", GPSLatitude=(48, 8, 15), GPSLongitudeRef="E",
                    GPSLongitude=(11, 34, 30))  # fmt: skip
    data = encoded(picture(400, 300), exif=exif)
    photo = served.sessions.photos.add(data, "quay.jpg")
    whole = await served.http.get(f"/v1/photos/{photo.id}")
    small = await served.http.get(f"/v1/photos/{photo.id[:12]}", params={"side": 100})
    for reply, size in ((whole, (400, 300)), (small, (100, 75))):
        assert reply.headers["content-type"] == "image/jpeg"
        assert "immutable" in reply.headers["cache-control"]
        image = Image.open(io.BytesIO(reply.content))
        assert image.size == size
        assert not image.getexif()
        tag = {"if-none-match": reply.headers["etag"]}
        again = await served.http.get(str(reply.request.url), headers=tag)
        assert (again.status_code, again.content) == (304, b"")
    assert whole.headers["etag"] != small.headers["etag"]
    facts = (await served.http.get(f"/v1/photos/{photo.id}/facts")).json()
    assert facts["claimed"]["positions"], "claims are told apart, as claims"
    for bad in ("x", "..keys.json", "0" * 64, "0" * 8):
        refused(await served.http.get(f"/v1/photos/{bad}"), 404, "unknown_photo")
    refused(await served.http.get(f"/v1/photos/{photo.id}", params={"side": 5000}), 422)


async def test_galleries_and_recipes(served: Served) -> None:
    encoder = SimpleNamespace(name="embedded", fingerprint="f" * 64, licence="CC-BY-4.0")
    counts = SimpleNamespace(
        licences={"CC0-1.0": 3, "": 1}, sources={"walk": 4}, countries={"DE": 4}
    )
    manifest = SimpleNamespace(kind="photos", encoder=encoder, counts=counts)

    class Held:
        name, path = "walks", None

        def __len__(self) -> int:
            return 4

    held = Held()
    held.manifest = manifest  # type: ignore[attr-defined]
    served.sessions.geolocators.galleries = cast("Any", (held,))
    (found,) = (await served.http.get("/v1/galleries")).json()["galleries"]
    assert (found["name"], found["points"], found["fingerprint"]) == ("walks", 4, "f" * 64)
    assert found["licences"] == {"CC0-1.0": 3, "": 1}
    rows = (await served.http.get("/v1/recipes")).json()["recipes"]
    assert [row["recipe"]["name"] for row in rows] == [recipe.name for recipe in RECIPES]
    assert all(row["can_run"] or row["missing"] for row in rows)


async def test_openapi_names_every_refusal(served: Served) -> None:
    document = (await served.http.get("/openapi.json")).json()
    text = str(document)
    assert "HTTPValidationError" not in text
    ours = ("/v1/", "/health", "/ready", "/metrics")
    for path, item in document["paths"].items():
        if not path.startswith(ours):
            continue
        for method, operation in item.items():
            said = operation["responses"]
            assert {"401", "403", "421", "429", "500", "503"} <= set(said), (method, path)
            assert MEDIA_TYPE in said["401"]["content"]
            if "requestBody" in operation:
                assert {"400", "408", "413", "415", "422", "507"} <= set(said)
            if "{session_id}" in path:
                assert "404" in said
            assert operation.get("summary")
            assert operation.get("description"), (method, path)
    named = set(document["components"]["schemas"])
    for part in text.split("#/components/schemas/")[1:]:
        assert part.split("'")[0] in named
