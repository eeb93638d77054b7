"""Project settings that Kedro reads. Nothing heavy may be imported here: every `kedro` command loads this
file."""

import os

from placid_kedro.app.config_loader import RunConfigLoader
from placid_kedro.app.hooks import PreflightHooks, StampHooks, TrackingHooks
from placid_kedro.app.locks import LockHooks
from placid_kedro.app.log_settings import configure_logging
from placid_kedro.app.page_hook import PageHooks
from placid_kedro.app.sweep.hooks import SweepHooks

configure_logging()

# Pluggy calls hooks last-registered first: parameters are checked and folders locked before tracking opens a run.
HOOKS = (PageHooks(), StampHooks(), TrackingHooks(), LockHooks(), SweepHooks(), PreflightHooks())

# Nothing is sent. The first line reaches the plugin's hooks of a run, not those of the command line, which a file
# `.telemetry` stops as well; a folder of one's own with the wheel has none.
DISABLE_HOOKS_FOR_PLUGINS = ("kedro-telemetry",)
os.environ.setdefault("KEDRO_DISABLE_TELEMETRY", "true")

CONFIG_LOADER_CLASS = RunConfigLoader
CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    "merge_strategy": {"parameters": "soft", "globals": "soft"},
}
