"""One sentence for a parameter that is unknown, missing or of the wrong type."""

import re
from difflib import get_close_matches
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from placid_kedro.config import Parameters
from placid_kedro.errors import ParameterError

SHOWN_CHARACTERS = 60
_PYDANTICS_SUBJECT = re.compile(r"^(Input|String|Tuple|List|Dictionary|Value error,) ")


def check_parameters(raw: dict[str, Any]) -> Parameters:
    """Build the whole parameter tree from what the configuration files and `--params` hold.

    Raises:
        ParameterError: naming the first parameter that is wrong, what it should be, and how many others are
            wrong.
    """
    try:
        return Parameters.model_validate(raw)
    except ValidationError as error:
        # A default that depends on a wrong parameter is not wrong itself.
        errors = [
            detail
            for detail in error.errors(include_url=False)
            if detail["type"] != "default_factory_not_called"
        ]
        # An unknown name is most often the reason why others are missing.
        first = min(errors, key=lambda detail: detail["type"] != "extra_forbidden")
        others = len(errors) - 1
        more = f" ({others} more parameter{'s are' if others > 1 else ' is'} wrong.)" if others else ""
        raise ParameterError(_sentence(first, raw) + more) from error


def _sentence(detail: ErrorDetails, raw: dict[str, Any]) -> str:
    location = _without_union_tags(detail["loc"], raw)
    path = ".".join(location)
    if detail["type"] == "extra_forbidden":
        return f"There is no parameter '{path}'; {_suggestion(detail['loc'])}"
    if detail["type"] == "missing":
        return f"The parameter '{path}' is missing; give it a value in conf/ or with --params."
    if detail["type"] in ("union_tag_invalid", "union_tag_not_found"):
        context = detail.get("ctx", {})
        key = str(context.get("discriminator", "kind")).strip("'")
        return (
            f"The parameter '{path}.{key}' is {context.get('tag', 'missing')!r}, "
            f"but it should be one of {context.get('expected_tags', 'the known ones')}."
        )
    value = repr(detail["input"])
    shown = value if len(value) <= SHOWN_CHARACTERS else value[: SHOWN_CHARACTERS - 3] + "..."
    if detail["type"] in ("model_type", "dict_type", "model_attributes_type"):
        return f"The parameter '{path}' is {shown}, but it should be a group of parameters."
    expectation = _PYDANTICS_SUBJECT.sub("", detail["msg"]).removesuffix(".")
    expectation = expectation.replace("a valid tuple", "a list").replace(" after validation", "")
    return f"The parameter '{path}' is {shown}, but it {expectation}."


def _without_union_tags(location: tuple[int | str, ...], raw: Any) -> list[str]:
    """The names along a path as the configuration has them: pydantic adds the chosen member of a union."""
    names: list[str] = []
    current = raw
    for part in location[:-1]:
        try:
            current = current[part]
        except (KeyError, IndexError, TypeError):
            continue
        names.append(str(part))
    return [*names, str(location[-1])]


def _suggestion(location: tuple[int | str, ...]) -> str:
    siblings = _names_at(Parameters, location[:-1])
    matches = get_close_matches(str(location[-1]), siblings, n=1)
    return f"did you mean '{matches[0]}'?" if matches else f"there are {', '.join(siblings)}."


def _names_at(model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """Names of the parameters in the group that a path of pydantic's leads to, union members included."""
    current: Any = model
    for part in path:
        if _is_model(current) and part in current.model_fields:
            current = current.model_fields[str(part)].annotation
        elif get_origin(current) is dict:
            current = get_args(current)[1]
        else:
            current = _union_member(current, str(part))
    return list(current.model_fields) if _is_model(current) else []


def _union_member(union: Any, tag: str) -> Any:
    """The model of a discriminated union whose tag field has this default."""
    if _is_model(union) and "root" in union.model_fields:
        union = union.model_fields["root"].annotation
    members = [member for member in get_args(union) if _is_model(member)]
    return next((m for m in members if any(field.default == tag for field in m.model_fields.values())), None)


def _is_model(candidate: Any) -> bool:
    return isinstance(candidate, type) and issubclass(candidate, BaseModel)
