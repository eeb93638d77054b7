"""Kedro's configuration loader with three more resolvers, `${slug:}` (the folder of the run's experiment, prompt and
seed), `${sweep:}` (the folder of a sweep) and `${models:}` (the folder of the embedded models), and with parameters
that can change the kind of a group."""

import copy
import os
from functools import cached_property
from pathlib import Path
from typing import Any

from kedro.config import OmegaConfigLoader
from omegaconf import OmegaConf

from placid_kedro.prompts.slug import run_folder
from placid_kedro.shipped import shipped

# A group with one of these names in it is of the kind that it says; its other members depend on that.
_KINDS = ("kind", "algorithm")


def merged(configured: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A tree of parameters with some changed, group by group.

    Where a group's kind changes, what the configuration said of the old kind goes: `init.source.kind=sphere` does not
    leave the level of the density behind.
    """
    if any(name in changes and changes[name] != configured.get(name, changes[name]) for name in _KINDS):
        return dict(changes)
    result = dict(configured)
    for name, value in changes.items():
        old = result.get(name)
        result[name] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return result


def models_root() -> str:
    """Folder of the embedded models: what `PLACID_KEDRO_MODELS` names, else `./models` of the project, else what the
    installed wheel brings."""
    named = os.environ.get("PLACID_KEDRO_MODELS")
    if named:
        return str(Path(named).expanduser().absolute())
    brought = shipped("models")
    return "./models" if brought is None or Path("models").is_dir() else str(brought)


class RunConfigLoader(OmegaConfigLoader):
    """`OmegaConfigLoader` whose catalog paths may contain `${slug:}` and `${sweep:}`.

    The slug comes from the merged parameters, so that a prompt given with `--params`, in an environment or in
    `conf/local` always leads to the same folder as the one the nodes see. Environments and `--params` are merged
    into the parameters by `merged`.
    """

    def __getitem__(self, key: str) -> dict[str, Any]:
        # OmegaConf's resolvers are global to the process: each loader claims the name again, as Kedro's own
        # do.
        OmegaConf.register_new_resolver("slug", lambda: self.slug, replace=True)
        OmegaConf.register_new_resolver("sweep", lambda: self["parameters"]["ablation"]["name"], replace=True)
        if key not in self:  # files are read once: those of one key take a tenth of a second
            self[key] = self._configured_parameters() if key == "parameters" else super().__getitem__(key)
        return copy.deepcopy(super().__getitem__(key))

    def _configured_parameters(self) -> dict[str, Any]:
        """Those of the files and `--params`, merged."""
        OmegaConf.register_new_resolver("models", models_root, replace=True)
        given, self.runtime_params = self.runtime_params, {}
        try:
            configured = super().__getitem__("parameters")
        finally:
            self.runtime_params = given
        changes: Any = OmegaConf.to_container(OmegaConf.create(given or {}), resolve=True)
        return merged(configured, changes)

    @staticmethod
    def _soft_merge(config: dict[str, Any], env_config: dict[str, Any], env_path: str | None = None) -> Any:
        return merged(config, env_config)

    @cached_property
    def slug(self) -> str:
        """Folder of this run, see `placid_kedro.prompts.run_folder`."""
        parameters = self["parameters"]
        return run_folder(str(parameters["experiment"]), str(parameters["prompt"]), int(parameters["seed"]))
