"""What this project uses of other packages though it is private there: one test a name, so that a new version tells."""

import inspect

import numba
from kedro.config import OmegaConfigLoader
from kedro.framework.session import KedroSession
from kedro.runner import SequentialRunner


def test_kedro_merges_parameters_softly_in_a_method_that_the_config_loader_extends() -> None:
    """`RunConfigLoader` lets an environment replace a group of alternatives whole; Kedro has no setting for it."""
    from placid_kedro.app.config_loader import RunConfigLoader

    name = "_soft_merge"
    assert name in vars(RunConfigLoader)
    theirs, ours = (inspect.signature(getattr(kind, name)) for kind in (OmegaConfigLoader, RunConfigLoader))
    assert list(theirs.parameters) == list(ours.parameters)


def test_kedro_asks_its_runner_what_is_missing() -> None:
    """`StampedRunner` answers by stamps; Kedro offers no other place for it."""
    from placid_kedro.app.runners import StampedRunner

    name = "_filter_pipeline_for_missing_outputs"
    theirs, ours = (inspect.signature(getattr(kind, name)) for kind in (SequentialRunner, StampedRunner))
    assert list(theirs.parameters) == list(ours.parameters)


def test_kedro_makes_a_sessions_config_loader_in_a_method_of_its_own() -> None:
    """A cell of a sweep has its parameters already; Kedro offers no other place to hand a loader over."""
    from placid_kedro.app.sweep.worker import CellSession

    name = "_get_config_loader"
    theirs, ours = (inspect.signature(getattr(kind, name)) for kind in (KedroSession, CellSession))
    assert list(theirs.parameters) == list(ours.parameters)


def test_gsplat_has_spherical_harmonics_in_torch() -> None:
    """The CPU rasterizer takes them from gsplat, so that colours are the same on both devices."""
    from gsplat.cuda._torch_impl import _spherical_harmonics

    assert list(inspect.signature(_spherical_harmonics).parameters) == ["degrees_to_use", "dirs", "coeffs"]


def test_kedro_viz_knows_previews_by_types_of_kedro_datasets() -> None:
    """The annotation of `preview` chooses how Kedro-Viz shows a dataset; the types have no public name."""
    from kedro_datasets._typing import ImagePreview, JSONPreview, PlotlyPreview, TablePreview

    from placid_kedro import datasets

    kinds = {ImagePreview, JSONPreview, PlotlyPreview, TablePreview}
    unseen = ("FileDataset", "TensorsDataset", "CredentialsDataset")
    shown = [getattr(datasets, name) for name in datasets.__all__ if name not in unseen]
    for dataset in shown:
        assert inspect.signature(dataset.preview).return_annotation in kinds, dataset


def test_numba_tells_whether_its_cache_has_a_kernel() -> None:
    """`kernels.in_cache` asks before numba would compile; the public interface tells only afterwards."""
    from placid_kedro.kernels import in_cache
    from placid_kedro.splats.cpu.tiling import sort_into_tiles

    kinds = (numba.int64[::1], numba.int32[:, :, ::1], numba.int64, numba.int64)
    sort_into_tiles.compile(kinds)
    assert in_cache(sort_into_tiles, kinds)
    assert not in_cache(sort_into_tiles, (numba.float64[::1], *kinds[1:]))
