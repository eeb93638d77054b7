"""Stage `t3bench_eval`: a turntable of the object, how well it matches its prompt, and the run's report."""

from placid_kedro.pipelines.t3bench_eval.pipeline import create_pipeline

__all__ = ["create_pipeline"]
