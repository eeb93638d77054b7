"""Project settings that Kedro reads. Nothing heavy may be imported here: every `kedro` command loads this
file."""

from placid_kedro.app.config_loader import RunConfigLoader
from placid_kedro.app.hooks import PreflightHooks, StampHooks, TrackingHooks
from placid_kedro.app.locks import LockHooks

# Pluggy calls hooks last-registered first: parameters are checked and folders locked before tracking opens a run.
HOOKS = (StampHooks(), TrackingHooks(), LockHooks(), PreflightHooks())

DISABLE_HOOKS_FOR_PLUGINS = ("kedro-telemetry",)

CONFIG_LOADER_CLASS = RunConfigLoader
CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    "merge_strategy": {"parameters": "soft", "globals": "soft"},
}
