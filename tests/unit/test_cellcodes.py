"""Cell codes: prototypes and tiles in one space, tables that survive, kappa, search."""

from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from encoders.cell_search import CellIndex, at_level, rows_of
from encoders.families import family_classes
from encoders.families.cellcodes import CellCodesConfig, CellCodesHeads, paired
from encoders.heads import Batch, PhotoFeatures, contrastive, unit
from geo.cells import CellIds, cell_ids, centres, children, parents
from geo.errors import InputError

WIDTH = 16


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Products this small are slower on two threads, far slower beside other work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def region(count: int, level: int = 15) -> CellIds:
    """Neighbouring cells in Brittany."""
    corner = parents(cell_ids([[48.1, -2.0]], level), level - 5)
    return children(corner, level).ravel()[:count]


def signed(ids: CellIds) -> Tensor:
    return torch.from_numpy(ids.view(np.int64))


def small(**changes: object) -> CellCodesHeads:
    torch.manual_seed(0)
    config = {"backbone_width": 12, "width": WIDTH} | changes
    return CellCodesHeads(CellCodesConfig.model_validate(config))


def filled(prototypes: int = 6, tiles: int = 10) -> tuple[CellCodesHeads, CellIds, CellIds]:
    """Prototypes, and tiles that begin in the third of them and go on beyond the last."""
    heads, parent_ids = small(), region(8)
    heads.set_cells(parent_ids[:prototypes])
    codes = children(parent_ids[2:], 16).ravel()[:tiles]
    heads.set_codes(codes, torch.randn(tiles, WIDTH))
    return heads.eval(), parent_ids[:prototypes], codes


def batch_of(count: int, ids: CellIds, heads: CellCodesHeads) -> Batch:
    points = centres(np.resize(ids, count))
    return Batch(
        PhotoFeatures(torch.randn(count, 12)),
        torch.from_numpy(points),
        aerial=torch.randn(count, 12),
        cells=heads.cell_rows(points),
    )


def test_codes_say_what_is_known_of_a_cell() -> None:
    heads, parent_ids, codes = filled(6, 22)
    both, tile_alone = codes[0], codes[-1]
    bare, outside = children(parent_ids[:1], 16)[0, 0], cell_ids([[0.0, 0.0]], 16)[0]
    points = torch.from_numpy(centres(np.array([both, bare, tile_alone, outside], np.uint64)))
    heads.kappa.fill_(2.5)
    found = heads.encode_points(points)["cell"]
    row = heads.cell_rows(centres(parents([both], 15)))
    prototype, tile = (
        unit(heads.prototypes)[row][0],
        heads.code_aerial[rows_of(heads.code_ids, signed(np.array([both])))][0],
    )
    assert torch.allclose(found[0], unit((2.5 * prototype + tile)[None])[0], atol=1e-6)
    first = heads.cell_rows(centres(parent_ids[:1]))
    assert torch.allclose(found[1], unit(heads.prototypes)[first][0], atol=1e-6)
    last = rows_of(heads.code_ids, signed(np.array([tile_alone])))
    assert torch.allclose(found[2], heads.code_aerial[last][0], atol=1e-6)
    assert not found[3].any()
    assert torch.allclose(found[:3].norm(dim=1), torch.ones(3), atol=1e-6)
    heads.kappa.fill_(0.0)
    tiles_only = heads.encode_points(points)["cell"]
    assert torch.equal(tiles_only[1:], found[1:])
    assert torch.allclose(tiles_only[0], tile, atol=1e-6)


def test_rows_are_their_own_and_finite_everywhere() -> None:
    heads, parent_ids, codes = filled()
    edges = np.array([[90, 0], [90, 77], [-90, 3], [10, 180], [10, -180], [0, 0]], float)
    polar = cell_ids(edges[:4:3], 15)
    heads.set_cells(np.concatenate([parent_ids, polar]))
    points = torch.from_numpy(np.concatenate([edges, centres(codes)]))
    together = heads.encode_points(points)["cell"]
    alone = torch.cat([heads.encode_points(point[None])["cell"] for point in points])
    assert torch.isfinite(together).all()
    assert torch.allclose(together, alone, atol=1e-6)
    assert together[0].any()
    assert torch.equal(together[0], together[1])
    assert torch.equal(together[3], together[4])
    assert not together[[2, 5]].any()
    features = torch.randn(5, 12)
    photos = heads.encode_photos(PhotoFeatures(features))["cell"]
    single = torch.cat([heads.encode_photos(PhotoFeatures(f[None]))["cell"] for f in features])
    assert torch.allclose(photos, single, atol=1e-6)
    assert torch.allclose(photos.norm(dim=1), torch.ones(5), atol=1e-6)


def test_tables_are_sorted_and_their_rows_stay_together() -> None:
    heads, ids = small(), region(6)
    codes = children(ids, 16).ravel()
    order = np.random.default_rng(0).permutation(len(codes))
    tiles = unit(torch.randn(len(codes), WIDTH))
    heads.set_codes(codes[order], tiles[torch.from_numpy(order)])
    assert torch.equal(heads.code_ids, signed(codes))
    assert torch.allclose(heads.encode_points(torch.from_numpy(centres(codes)))["cell"], tiles)
    heads.set_cells(ids[::-1])
    assert torch.equal(heads.cell_ids, signed(ids))
    before = heads.prototypes.detach().clone()
    heads.set_cells(region(8))
    assert torch.equal(heads.prototypes[:6].detach(), before)
    heads.set_cells(region(8)[2:])
    assert torch.equal(heads.prototypes[:4].detach(), before[2:])


def test_saved_tables_come_back() -> None:
    heads, _, codes = filled()
    heads.calibrate(unit(torch.randn(10, WIDTH)), codes)
    config = CellCodesConfig.model_validate_json(heads.config.model_dump_json())
    assert (config.cells, config.codes) == (6, 10)
    again = CellCodesHeads(config)
    again.load_state_dict(heads.state_dict())
    points = torch.from_numpy(centres(children(region(8), 16).ravel()))
    assert torch.equal(again.encode_points(points)["cell"], heads.encode_points(points)["cell"])
    assert family_classes("cellcodes") == (CellCodesHeads, CellCodesConfig)


def test_the_database_holds_each_cell_once() -> None:
    heads, parent_ids, codes = filled(6, 10)
    ids, vectors = heads.code_table()
    # Two parents have no tile: themselves. Three are tiled, at least in part: four children each.
    tiled = set(parents(codes, 15).tolist()) & set(parent_ids.tolist())
    expected = set(parent_ids.tolist()) - tiled
    expected |= set(children(np.array(sorted(tiled), np.uint64), 16).ravel().tolist())
    expected |= set(codes.tolist())
    assert len(ids) == len(expected)
    assert set(ids.tolist()) == expected
    assert torch.equal(heads.codes_of(signed(ids)), vectors)
    assert torch.allclose(vectors.norm(dim=1), torch.ones(len(ids)), atol=1e-6)
    # A place's own vector is its database entry, or its parent's.
    inside = heads.encode_points(torch.from_numpy(centres(ids)))["cell"]
    assert torch.allclose(inside, vectors, atol=1e-6)


def test_photos_of_one_cell_do_not_repel() -> None:
    torch.manual_seed(0)
    left, right = unit(torch.randn(4, 8)), unit(torch.randn(4, 8))
    labels, log_scale = torch.tensor([7, 7, 3, 9]), torch.tensor(2.0)
    logits = left @ right.T

    def gradient(loss: str) -> Tensor:
        table = logits.clone().requires_grad_()
        # With an identity on one side, cosines are the table itself.
        if loss == "paired":
            paired(table, torch.eye(4), labels, log_scale).backward()
        else:
            contrastive(table, torch.eye(4), log_scale).backward()
        assert table.grad is not None
        return table.grad

    same = labels[:, None] == labels[None]
    assert (gradient("paired")[same] < 0).all()
    assert (gradient("paired")[~same] > 0).all()
    assert (gradient("contrastive")[[0, 1], [1, 0]] > 0).all()


def test_paired_is_contrastive_where_all_differ() -> None:
    torch.manual_seed(0)
    left, right, scale = unit(torch.randn(5, 8)), unit(torch.randn(5, 8)), torch.tensor(2.0)
    assert torch.allclose(
        paired(left, right, torch.arange(5), scale), contrastive(left, right, scale), atol=1e-6
    )
    alone = paired(left, right, torch.zeros(5, dtype=torch.long), scale)
    assert float(alone) == 0


def test_siblings_are_told_apart_by_their_tiles_alone() -> None:
    heads, ids, _ = filled()
    siblings = children(ids[:1], 16)[0]
    embedded = heads(batch_of(4, siblings, heads))
    assert len(set(embedded["cells"].tolist())) == 1
    assert embedded["codes"].tolist() == siblings.view(np.int64).tolist()
    terms = heads.loss(embedded)
    assert float(terms["ground_prototype"].detach()) == 0
    assert float(terms["aerial_prototype"].detach()) == 0
    assert float(terms["ground_aerial"].detach()) > 0


def test_gradient_reaches_every_parameter() -> None:
    heads, ids, _ = filled()
    heads.train()
    sum(heads.loss(heads(batch_of(6, ids, heads))).values(), torch.tensor(0.0)).backward()
    still = [n for n, p in heads.named_parameters() if p.grad is None or not p.grad.any()]
    assert still == []


def test_photos_outside_the_table_only_meet_their_tiles() -> None:
    heads, ids, _ = filled()
    mixed = np.concatenate([ids[:2], cell_ids([[0.0, 0.0], [-80.0, 3.0]], 15)])
    batch = batch_of(4, mixed, heads)
    assert batch.cells is not None
    assert (batch.cells < 0).tolist() == [False, False, True, True]
    embedded = heads(batch)
    terms = heads.loss(embedded)
    known = heads.loss({name: rows[:2] for name, rows in embedded.items()})
    for name in ("cell", "ground_prototype", "aerial_prototype"):
        assert torch.allclose(terms[name], known[name])
    assert not torch.allclose(terms["ground_aerial"], known["ground_aerial"])
    outside = heads.loss({name: rows[2:] for name, rows in embedded.items()})
    assert float(outside["cell"].detach()) == 0
    sum(outside.values(), torch.tensor(0.0)).backward()
    assert all(torch.isfinite(p.grad).all() for p in heads.parameters() if p.grad is not None)


def test_without_tiles_there_are_no_tile_parameters() -> None:
    heads, ids = small(aerial=False), region(4)
    assert heads.needs == {"cells"}
    assert not [name for name, _ in heads.named_parameters() if "aerial" in name]
    heads.set_cells(ids)
    batch = batch_of(4, ids, heads)
    assert set(heads.loss(heads(batch))) == {"cell", "ground_prototype"}
    table_ids, vectors = heads.code_table()
    assert (table_ids == ids).all()
    assert torch.allclose(vectors, unit(heads.prototypes.detach()))
    with pytest.raises(InputError, match="aerial=True"):
        heads.set_codes(children(ids, 16).ravel(), torch.randn(16, WIDTH))
    with pytest.raises(InputError, match="aerial=True"):
        heads.encode_aerial(torch.randn(2, 12))


@cache
def trained(aerial: bool, seed: int) -> tuple[CellCodesHeads, Tensor, CellIds]:
    """Train on a latent region: half its parents have 12 photos, the others one.

    A code cell's look is its parent's plus its own; photos and tiles show it through different
    glasses, photos with more noise.

    Returns:
        The heads with their database, test photos' features of the cells with one photo, and
        the code cells of those.
    """
    draw = torch.Generator().manual_seed(seed)
    parent_ids = region(40)
    codes = children(parent_ids, 16)
    look = torch.randn(40, 1, 12, generator=draw) + 0.7 * torch.randn(40, 4, 12, generator=draw)
    ground_view, aerial_view = torch.randn(2, 12, 24, generator=draw) / 12**0.5

    def photos(rows: Tensor, columns: Tensor) -> Tensor:
        noise = torch.randn(len(rows), 24, generator=draw)
        seen: Tensor = look[rows, columns] @ ground_view + 0.35 * noise
        return seen

    many = torch.arange(20).repeat_interleave(12)
    rows = torch.cat((many, torch.arange(20, 40)))
    columns = torch.randint(4, (len(rows),), generator=draw)
    tiles = look @ aerial_view
    torch.manual_seed(seed)
    heads = CellCodesHeads(CellCodesConfig(backbone_width=24, width=24, aerial=aerial))
    heads.set_cells(parent_ids)
    optimizer = torch.optim.AdamW(heads.parameters(), lr=5e-3, weight_decay=1e-2)
    cells, features = codes[rows.numpy(), columns.numpy()], photos(rows, columns)
    for _ in range(100):
        picked = torch.randint(len(rows), (64,), generator=draw)
        points = centres(cells[picked.numpy()])
        noisy = features[picked] + 0.3 * torch.randn(64, 24, generator=draw)
        batch = Batch(
            PhotoFeatures(noisy), torch.from_numpy(points),
            aerial=tiles[rows, columns][picked], cells=heads.cell_rows(points),
        )  # fmt: skip
        loss = torch.stack(list(heads.loss(heads(batch)).values())).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    heads.eval().requires_grad_(False)
    if aerial:
        heads.set_codes(codes.ravel(), heads.encode_aerial(tiles.reshape(-1, 24)))
    sparse = torch.arange(20, 40).repeat_interleave(8)
    where = torch.randint(4, (len(sparse),), generator=draw)
    return heads, photos(sparse, where), codes[sparse.numpy(), where.numpy()]


def recall(heads: CellCodesHeads, features: Tensor, truth: CellIds) -> float:
    ids, vectors = heads.code_table()
    ground = heads.encode_photos(PhotoFeatures(features))["cell"]
    found = ids[(ground @ vectors.T).argmax(dim=1).numpy()]
    return float((parents(found, 15) == parents(truth, 15)).mean())


def test_tiles_help_where_photos_are_few() -> None:
    with_tiles, without = [], []
    for seed in range(3):
        heads, features, truth = trained(True, seed)
        with_tiles.append(recall(heads, features, truth))
        heads, features, truth = trained(False, seed)
        without.append(recall(heads, features, truth))
    assert min(with_tiles) > 0.5
    assert np.mean(with_tiles) > np.mean(without) + 0.1


def test_calibration_never_loses_and_is_what_it_says() -> None:
    heads, features, truth = trained(True, 0)
    ground = heads.encode_photos(PhotoFeatures(features))["cell"]
    found = heads.calibrate(ground, truth)
    assert found.log_likelihood >= found.at_one
    assert found.photos == len(truth)
    assert float(heads.kappa) == pytest.approx(found.kappa)
    for kappa, likelihood in ((found.kappa, found.log_likelihood), (1.0, found.at_one)):
        heads.kappa.fill_(kappa)
        ids, vectors = heads.code_table()
        logits = heads.temperature * ground @ vectors.T
        own = torch.from_numpy(np.searchsorted(ids, truth))
        plain = -torch.nn.functional.cross_entropy(logits, own)
        assert float(plain) == pytest.approx(likelihood, abs=1e-4)


def test_calibration_trusts_what_is_right() -> None:
    torch.manual_seed(0)
    heads, ids = small(), region(12)
    heads.set_cells(ids)
    codes = children(ids, 16)
    prototypes = unit(heads.prototypes.detach())
    ground = prototypes.repeat_interleave(4, dim=0)
    heads.set_codes(codes.ravel(), torch.randn(48, WIDTH))
    assert heads.calibrate(ground, codes.ravel()).kappa > 2
    tiles = unit(torch.randn(48, WIDTH))
    heads.set_codes(codes.ravel(), tiles)
    assert heads.calibrate(tiles, codes.ravel()).kappa < 0.5


def test_calibration_needs_photos_of_the_region() -> None:
    heads, _, codes = filled()
    far = cell_ids([[0.0, 0.0]], 16)
    with pytest.raises(InputError, match="none of 1 photos"):
        heads.calibrate(torch.randn(1, WIDTH), far)
    with pytest.raises(InputError, match="level 16"):
        heads.calibrate(torch.randn(1, WIDTH), parents(far, 15))
    with pytest.raises(InputError, match="give one a cell"):
        heads.calibrate(torch.randn(2, WIDTH), far)
    with pytest.raises(InputError, match="0 or more"):
        heads.calibrate(torch.randn(10, WIDTH), codes, [-1.0, 2.0])


@pytest.mark.parametrize("spread", [0.05, 0.5, 3.0])
def test_search_is_exact_without_a_beam(spread: float) -> None:
    torch.manual_seed(0)
    parent_ids = region(200)
    ids = signed(children(parent_ids, 16).ravel())
    vectors = unit(torch.randn(200, 8).repeat_interleave(4, dim=0) + spread * torch.randn(800, 8))
    index = CellIndex.of(ids, vectors, 15)
    for query in unit(torch.randn(20, 8)):
        found, cosines = index.search(query, 10)
        best = (vectors @ query).sort(descending=True)
        assert torch.equal(found, ids[best.indices[:10]])
        assert torch.allclose(cosines, best.values[:10], atol=1e-6)
        whole, _ = index.search(query, 10, beam=200)
        assert torch.equal(whole, found)
        narrow, narrow_cosines = index.search(query, 10, beam=5)
        assert len(set(at_level(narrow, 15).tolist())) <= 5
        assert narrow_cosines[0] <= cosines[0] + 1e-6


def test_search_of_the_heads() -> None:
    heads, _, _ = filled()
    ids, vectors = heads.code_table()
    found, cosines = heads.search(vectors[3], 3)
    assert found[0] == ids[3]
    assert cosines[0] == pytest.approx(1, abs=1e-5)
    everything, _ = heads.search(vectors[3], 10_000)
    assert sorted(everything.tolist()) == sorted(ids.tolist())
    for k, beam in ((0, None), (1, 0)):
        with pytest.raises(InputError, match="1 or more"):
            heads.search(vectors[3], k, beam)
    with pytest.raises(InputError, match=f"\\[{WIDTH}\\] is needed"):
        heads.search(vectors[3][:5], 1)


def test_tables_refuse_what_cannot_be() -> None:
    heads, ids = small(), region(4)
    codes, tiles = children(ids, 16).ravel(), torch.randn(16, WIDTH)
    with pytest.raises(InputError, match="level 15"):
        heads.set_cells(codes)
    with pytest.raises(InputError, match="give 1 or more"):
        heads.set_cells([])
    with pytest.raises(InputError, match="twice"):
        heads.set_cells([*ids, ids[0]])
    with pytest.raises(InputError, match="level 16"):
        heads.set_codes(ids, tiles[:4])
    with pytest.raises(InputError, match="one tile a cell"):
        heads.set_codes(codes, tiles[:15])
    with pytest.raises(InputError, match="one tile a cell"):
        heads.set_codes(codes, tiles * torch.nan)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"code_level": 14}, "code_level 14"),
        ({"code_level": 22}, "code_level 22"),
        ({"prototype_level": 31}, "prototype_level"),
        ({"aerial": False, "codes": 3}, "codes 3"),
        ({"cells": -1}, "cells"),
        ({"hidden": 12}, "hidden"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        small(**changes)
