"""The text after `--params`: NAME=VALUE items separated by commas, where a value may be free text.

Kedro's own reading splits at every comma and takes each value for YAML, so that the prompt `a red, wooden
chair` is an error and `a box: open` becomes a mapping. Here an item starts only where a comma is followed
by `NAME=`, and a parameter whose type is text is taken as it was typed.
"""

import re
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from placid_kedro.config import Parameters
from placid_kedro.errors import ParameterError
from placid_kedro.foreign import one_line

_NAME = r"[A-Za-z_][\w.]*"
_BETWEEN_ITEMS = re.compile(rf",\s*(?={_NAME}\s*=)")
_ITEM = re.compile(rf"\s*({_NAME})\s*=(.*)", re.DOTALL)


def parse_params(text: str) -> dict[str, Any]:
    """Read the value of `--params`.

    Example: `prompt=a red, wooden chair,seed=3` gives `{"prompt": "a red, wooden chair", "seed": 3}`.

    Returns:
        Nested dictionaries for dotted names.

    Raises:
        ParameterError: the text does not begin with `NAME=`, or a value is not valid YAML.
    """
    items: list[DictConfig | ListConfig] = []
    for item in _BETWEEN_ITEMS.split(text) if text.strip() else []:
        match = _ITEM.fullmatch(item)
        if not match:
            raise ParameterError(
                f"--params expects NAME=VALUE items separated by commas, but reads {item.strip()!r}."
            )
        name, value = match.groups()
        if is_text(name):
            # A dollar and a brace would be an interpolation to OmegaConf.
            tree = OmegaConf.create({})
            OmegaConf.update(tree, name, value.replace("${", "\\${"), force_add=True)
            items.append(tree)
        else:
            if "${" in value:
                raise ParameterError(
                    f"The parameter '{name}' has the value {value.strip()!r}, but references have no meaning here; "
                    "write the value itself."
                )
            try:
                items.append(OmegaConf.from_dotlist([f"{name}={value.strip()}"]))
            # An anchor inside itself never ends; a value may also be of a kind that is no parameter's, as a date is.
            except (YAMLError, OmegaConfBaseException, RecursionError, ValueError, TypeError) as error:
                raise ParameterError(
                    f"The parameter '{name}' has the value {value!r}, which is not valid YAML."
                ) from error
    try:
        merged: dict[str, Any] = OmegaConf.to_container(OmegaConf.merge({}, *items))  # type: ignore[assignment]
    except (OmegaConfBaseException, AssertionError, ValueError, TypeError) as error:
        raise ParameterError(
            f"--params gives one name a value and also a group of parameters ({one_line(error)}); drop one of them."
        ) from error
    return merged


def is_text(name: str) -> bool:
    """Whether the parameter with this dotted name is free text."""
    annotation: Any = Parameters
    for part in name.split("."):
        field = getattr(annotation, "model_fields", {}).get(part)
        if field is None:
            return False
        annotation = field.annotation
    return annotation is str
