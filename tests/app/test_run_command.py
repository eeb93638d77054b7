"""`kedro run` as a user meets it: exit codes, one sentence on stderr, and the default pipeline."""

import errno
import signal
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from kedro.framework.project import configure_project

import placid_kedro.app.run_command as run_command
from placid_kedro.app.interrupts import Interrupted
from placid_kedro.errors import PromptError

PROJECT_FILE = (
    '[tool.kedro]\npackage_name = "placid_kedro"\nproject_name = "a"\nkedro_init_version = "1.7.0"\n'
)


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the command with Kedro's own part replaced; returns the result and what Kedro's part was given."""
    configure_project("placid_kedro")
    (tmp_path / "pyproject.toml").write_text(PROJECT_FILE)
    monkeypatch.chdir(tmp_path)
    seen: dict[str, Any] = {}

    def run(*arguments: str, error: BaseException | None = None) -> tuple[Result, dict[str, Any]]:
        def kedro_part(**options: Any) -> None:
            seen.update(options)
            if error is not None:
                raise error

        monkeypatch.setattr(run_command, "kedro_run", click.Command("run", callback=kedro_part))
        return CliRunner().invoke(run_command.run, arguments), seen

    return run


def test_the_users_words(invoke: Any) -> None:
    result, seen = invoke("--pipeline", "generate", "--params", "prompt=a teddy bear")
    assert result.exit_code == 0
    assert result.stderr == ""
    assert seen["pipelines"] == ["generate"]
    assert seen["params"] == {"prompt": "a teddy bear"}
    assert seen["runner"] is None


def test_updating_uses_the_stamped_runner_unless_another_is_named(invoke: Any) -> None:
    assert invoke("--only-missing-outputs")[1]["runner"] == "placid_kedro.app.runners.StampedRunner"
    assert invoke("--only-missing-outputs", "--runner", "ThreadRunner")[1]["runner"] == "ThreadRunner"


def test_a_foreseen_error_is_one_line_and_exit_code_one(invoke: Any) -> None:
    result, _ = invoke(error=PromptError("The prompt is empty."))
    assert result.exit_code == 1
    assert result.stderr == "Error: The prompt is empty.\n"


@pytest.mark.parametrize(
    ("error", "name", "code"),
    [
        (KeyboardInterrupt(), "SIGINT", 130),
        (Interrupted(signal.SIGTERM), "SIGTERM", 143),
        (Interrupted(signal.SIGHUP), "SIGHUP", 129),
    ],
)
def test_an_interrupted_run_says_how_to_go_on(
    invoke: Any, error: BaseException, name: str, code: int
) -> None:
    result, _ = invoke(error=error)
    assert result.exit_code == code
    assert result.stderr.startswith(f"Error: The run was interrupted ({name});")
    assert result.stderr.endswith("--only-missing-outputs.\n")


def test_a_full_disk_is_one_line_with_its_traceback_in_a_file(invoke: Any, tmp_path: Path) -> None:
    result, _ = invoke(error=OSError(errno.ENOSPC, "No space left on device", "a.ply"))
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: The disk is full while writing a.ply;")
    assert result.stderr.count("\n") == 1
    assert "Traceback" in (tmp_path / "logs" / "last_error.log").read_text()


@pytest.mark.parametrize("arguments", [["--verbose"], []])
def test_defects_and_verbose_runs_show_the_traceback(invoke: Any, arguments: list[str]) -> None:
    error = PromptError("The prompt is empty.") if arguments else RuntimeError("a defect")
    result, _ = invoke(*arguments, error=error)
    assert result.exit_code == 1
    assert result.exception is error


def test_bad_params_never_reach_kedro(invoke: Any) -> None:
    result, seen = invoke("--params", "a teddy bear")
    assert result.exit_code == 1
    assert "NAME=VALUE" in result.stderr
    assert not seen


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--pipeline", "genrate"), "There is no pipeline 'genrate'; did you mean 'generate'?"),
        (("--pipelines", "generate,exprt"), "There is no pipeline 'exprt'; did you mean 'export'?"),
        (("--pipeline", ""), "There is no pipeline ''; there are ablation,"),
        (
            ("--params", "seed=1", "--params=prompt=x"),
            "--params is given twice, and only the last would count",
        ),
        (("--load-versions", "gaussians"), "Expected the form of 'load_versions' to be"),
        (("--config", "pyproject.toml"), "pyproject.toml cannot be used for --config (expected"),
        (("--config", "empty.yml"), "empty.yml cannot be used for --config"),
        (("--config", "list.yml"), "list.yml cannot be used for --config"),
        (("--config", "typo.yml"), "Key `pipelin` in provided configuration is not valid."),
    ],
)
def test_words_that_cannot_be_used_never_reach_kedro(
    invoke: Any, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    (tmp_path / "empty.yml").write_text("")
    (tmp_path / "list.yml").write_text("- a\n- b\n")
    (tmp_path / "typo.yml").write_text("run:\n  pipelin: x\n")
    result, seen = invoke(*arguments)
    assert (seen, result.stdout) == ({}, "")
    assert result.exit_code in (1, 2)
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert said in line
    assert "Traceback" not in result.stderr


def test_options_may_come_from_a_file(invoke: Any, tmp_path: Path) -> None:
    (tmp_path / "run.yml").write_text("run:\n  pipeline: export\n  params: {seed: 3}\n")
    result, seen = invoke("--config", "run.yml")
    assert (result.exit_code, seen["pipelines"], seen["params"]) == (0, ["export"], {"seed": 3})


def test_from_anywhere_the_project_of_the_code_is_run(invoke: Any, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").unlink()
    assert invoke("--pipeline", "generate")[0].exit_code == 0
    assert Path.cwd() == Path(__file__).parents[2]


def test_a_folder_with_a_configuration_of_its_own_is_run_there(invoke: Any, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").unlink()
    invoke("--conf-source", str(tmp_path))
    assert Path.cwd() == tmp_path
    (tmp_path / "conf").mkdir()
    invoke()
    assert Path.cwd() == tmp_path


def test_where_there_is_no_project_that_is_said(
    invoke: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyproject.toml").unlink()
    monkeypatch.setattr(run_command, "find_kedro_project", lambda folder: None)
    result, seen = invoke()
    assert (result.exit_code, seen) == (1, {})
    assert f"There is no project in {tmp_path} or above it; change into" in result.stderr
