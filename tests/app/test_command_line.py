"""Wrong words on the command line: one sentence each, before any stage runs."""

from pathlib import Path
from typing import Any

import pytest
from kedro.framework.project import configure_project, pipelines

from placid_kedro.app.command_line import check_names
from placid_kedro.app.config_loader import RunConfigLoader
from placid_kedro.app.node_names import full_names
from placid_kedro.app.runtime_params import parse_params
from placid_kedro.config.check import check_parameters
from placid_kedro.errors import ParameterError, PlacidError

ROOT = Path(__file__).parents[2]

NAMES = [
    *(({"tags": ["traning"]}), ({"tags": ["x", "y"]}), ({"tags": [""]})),
    *(({"namespaces": ["lorra"]}), ({"namespaces": ["lora", "nope"]})),
    *(({"from_inputs": ["referense"]}), ({"from_inputs": ["params:promt"]}), ({"from_inputs": [" "]})),
    *(({"to_outputs": ["gausians"]}), ({"to_outputs": ["gaussians", "../x"]}), ({"to_outputs": ["x\ny"]})),
    *(({"load_versions": {"gausians": "1"}}),),
    *(({"env": "papr"}), ({"env": "nope"}), ({"env": "../conf"}), ({"env": "BASE"})),
    *(
        ({"runner": "SequentalRunner"}),
        ({"runner": "os.path"}),
        ({"runner": "no.such.Runner"}),
        ({"runner": "x y"}),
    ),
    {"env": ""},
    *(({"runner": "json.JSONDecoder"}), ({"runner": "AbstractRunners"}), ({"runner": ".Runner"})),
]

# Words that are right each by itself, or that have nothing near.
UNUSABLE = [
    ({"runner_params": {"max_workers": "2"}}, "The SequentialRunner takes no 'max_workers'; leave"),
    ({"runner": "ThreadRunner", "runner_params": {"x": "2"}}, "The ThreadRunner takes no 'x'; leave"),
    ({"conf_source": str(ROOT / "pyproject.toml")}, "is no configuration; give --conf-source a folder"),
    ({"conf_source": str(ROOT / "src")}, "it has no folder 'base'; give --conf-source a folder"),
    (
        {"from_nodes": ["viewer.write_page"], "to_nodes": ["prompt.process_prompt"]},
        "No node is left of the pipeline with --from-nodes and --to-nodes as they are; leave one out",
    ),
    ({"from_inputs": ["page"]}, "with --from-inputs as they are; leave one out"),
    ({"to_outputs": ["params:seed"]}, "with --to-outputs as they are; leave one out"),
]

# What the value is wrong for, and the value.
PARAMS = [
    *("prompt", "=", "=1", "a teddy bear", "1=2", "prompt.=x", "seed", ",", "seed=1;lora.rank=2", "-seed=1"),
    *(
        "seed=[1",
        "seed={a",
        "seed='1",
        "seed=&x [*x]",
        "seed=*y",
        "seed=!!python/object:os.system x",
        "seed=: :",
    ),
    *("seed=${nope}", "lora.rank=${seed}", "seed=${oc.env:HOME}", "seed=${", "seed=2026-11-25", "seed=null"),
    *(
        "seed=one",
        "seed=1.5",
        "seed=-1",
        "seed=true",
        "seed=[1]",
        "seed={a: 1}",
        "seed.x=1",
        "seed=1,seed.x=1",
    ),
    *(
        "promt=a chair",
        "lora=1",
        "lora.rnk=1",
        "lora.rank=",
        "lora.rank.x=1",
        "lora=[1, 2]",
        "Lora.rank=1",
        "x.y.z=1",
    ),
    *(
        "distillation.algorithm=[1]",
        "distillation.algorithm=sdz",
        "distillation.algorithm=null",
        "distillation=sds",
    ),
    *(
        "distillation.algorithm={a: 1}",
        "distillation.defaults=1",
        "distillation.defaults.bsd=1",
        "init.source.kind=spheres",
        "init.source.kind=[1]",
        "init.source=file",
    ),
    *(
        "init.source.kind=file",
        "init.source.level.kind=[]",
        "init.source=[1]",
        "init.points=1",
        "init.opacity=0",
    ),
    *("prompt_processor.view_template={prompt} {view} {nope}", "prompt_processor.view_template={prompt}"),
    *(
        "prompt_processor.view_template={prompt} {view} {",
        "prompt_processor.scripts=[]",
        "reference.template={x}",
    ),
    *(
        "reference.template={prompt} {other}",
        "reference.steps=0",
        "reference.margin=0.5",
        "multiview.plane_preset=x",
    ),
    *(
        "run.device=gpu",
        "run.device=cuda:",
        "models=x",
        "models.scorer=",
        "tracking.enabled=maybe",
    ),
    *(
        "bsd_3dgs.image_size=17",
        "bsd_3dgs.backgrounds=[]",
        "bsd_3dgs.backgrounds=[pink]",
        "bsd_3dgs.depth_share=2",
    ),
    *(
        "bsd_3dgs.cameras.distance=[2.0,1.0]",
        "bsd_3dgs.cameras.distance=1.0",
        "bsd_3dgs.cameras.elevation_deg=[0]",
    ),
]

HUGE, ABOVE = "100000000000", "9" * 30
EXTREMES = [
    f"{name}={value}"
    for name in (
        *(
            "t3bench_eval.turntable_frames",
            "t3bench_eval.views",
            "t3bench_eval.image_size",
            "multiview.views",
        ),
        *(
            "t3bench_eval.turntable_size",
            "multiview.steps",
            "multiview.density_resolution",
            "reference.steps",
        ),
        *("lora.steps", "lora.rank", "lora.batch_size", "bsd_3dgs.steps", "bsd_3dgs.cameras_per_step"),
        *("bsd_3dgs.image_size", "init.points", "run.threads", "tracking.timeout_seconds"),
        "prompt_processor.max_characters",
    )
    for value in (HUGE, ABOVE, "-1")
] + [
    f"{name}={value}"
    for name in (
        "reference.guidance_scale",
        "multiview.distance",
        "multiview.elevation_deg",
        "lora.learning_rate",
    )
    for value in (".nan", ".inf", "-.inf")
]


def sentence(text: str) -> str:
    """What a run with these parameters says before any stage."""
    with pytest.raises(PlacidError) as raised:
        loader = RunConfigLoader(
            str(ROOT / "conf"),
            env="base",
            base_env="base",
            default_run_env="base",
            runtime_params=parse_params(text),
        )
        check_parameters(loader["parameters"])
    return str(raised.value)


def is_sentence(text: str) -> bool:
    return ("\n" not in text and text[0].isupper()) or (text.startswith("--params") and text[-1] in ".?")


@pytest.mark.parametrize("text", PARAMS)
def test_bad_parameters_are_one_sentence(text: str) -> None:
    assert is_sentence(sentence(text)), sentence(text)


@pytest.mark.parametrize("text", EXTREMES)
def test_extreme_values_are_one_sentence_that_names_the_parameter(text: str) -> None:
    said = sentence(text)
    assert is_sentence(said), said
    assert text.partition("=")[0] in said


@pytest.fixture(scope="module")
def generate() -> Any:
    configure_project("placid_kedro")
    return pipelines["generate"]


@pytest.mark.parametrize("options", NAMES, ids=repr)
def test_mistyped_names_are_one_sentence(generate: Any, options: dict[str, Any]) -> None:
    with pytest.raises(ParameterError) as raised:
        check_names(options, generate, ROOT)
    text = str(raised.value)
    assert is_sentence(text), text
    assert "did you mean" in text or "there are" in text or "there is none" in text


@pytest.mark.parametrize(("options", "said"), UNUSABLE, ids=repr)
def test_what_cannot_be_used_is_one_sentence(generate: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ParameterError) as raised:
        check_names(options, generate, ROOT)
    text = str(raised.value)
    assert said in text
    assert "\n" not in text
    assert text.endswith(".")


@pytest.mark.parametrize(
    "options",
    [
        {"tags": [], "env": None, "runner": None, "from_inputs": []},
        {"namespaces": ["lora"], "env": "paper", "runner": "placid_kedro.app.runners.StampedRunner"},
        {"to_outputs": ["gaussians"], "from_inputs": ["views"], "runner": "SequentialRunner"},
    ],
)
def test_right_names_pass(generate: Any, options: dict[str, Any]) -> None:
    check_names(options, generate, ROOT)


@pytest.mark.parametrize("name", ["personalize", "lorra", "", "params:prompt"])
def test_mistyped_nodes_are_one_sentence(generate: Any, name: str) -> None:
    with pytest.raises(ParameterError) as raised:
        full_names([name], generate)
    assert is_sentence(str(raised.value))


def test_there_are_enough_of_them() -> None:
    assert len(NAMES) + len(PARAMS) >= 73
    assert len(EXTREMES) >= 63


def test_environments_are_those_of_the_configuration_that_was_named(generate: Any, tmp_path: Path) -> None:
    for name in ("base", "mine"):
        (tmp_path / name).mkdir()
    check_names({"env": "mine", "conf_source": str(tmp_path)}, generate, ROOT)
    with pytest.raises(ParameterError, match="There is no environment 'paper'; there are base, mine"):
        check_names({"env": "paper", "conf_source": str(tmp_path)}, generate, ROOT)
