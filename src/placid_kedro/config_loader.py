"""Kedro's configuration loader with one more resolver, `${slug:}`: the folder name of the run's prompt and
seed."""

from functools import cached_property
from typing import Any

from kedro.config import OmegaConfigLoader
from omegaconf import OmegaConf

from placid_kedro.prompts.slug import run_slug


class RunConfigLoader(OmegaConfigLoader):
    """`OmegaConfigLoader` whose catalog paths may contain `${slug:}`.

    The slug comes from the merged parameters, so that a prompt given with `--params`, in an environment or in
    `conf/local` always leads to the same folder as the one the nodes see.
    """

    def __getitem__(self, key: str) -> dict[str, Any]:
        # OmegaConf's resolvers are global to the process: each loader claims the name again, as Kedro's own
        # do.
        OmegaConf.register_new_resolver("slug", lambda: self.slug, replace=True)
        return super().__getitem__(key)

    @cached_property
    def slug(self) -> str:
        """Folder name of this run, see `placid_kedro.prompts.run_slug`."""
        parameters = self["parameters"]
        return run_slug(str(parameters["prompt"]), int(parameters["seed"]))
