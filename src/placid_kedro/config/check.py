"""One sentence for a parameter that is unknown, missing or of the wrong type."""

from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from placid_kedro.config import Parameters
from placid_kedro.errors import ParameterError

SHOWN_CHARACTERS = 60


def check_parameters(raw: dict[str, Any]) -> Parameters:
    """Build the whole parameter tree from what the configuration files and `--params` hold.

    Raises:
        ParameterError: naming the first parameter that is wrong, what it should be, and how many others are wrong.
    """
    try:
        return Parameters.model_validate(raw)
    except ValidationError as error:
        raise ParameterError(describe(error, Parameters)) from error


def describe(error: ValidationError, model: type[BaseModel]) -> str:
    """Turn a validation error into one sentence."""
    errors = error.errors(include_url=False)
    # An unknown name is most often the reason why others are missing.
    first = min(errors, key=lambda detail: detail["type"] != "extra_forbidden")
    sentence = _sentence(first, model)
    others = len(errors) - 1
    return f"{sentence} ({others} more parameter{'s are' if others > 1 else ' is'} wrong)" if others else sentence


def _sentence(detail: ErrorDetails, model: type[BaseModel]) -> str:
    path = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        siblings = _names_at(model, detail["loc"][:-1])
        matches = get_close_matches(str(detail["loc"][-1]), siblings, n=1)
        hint = f"did you mean '{matches[0]}'?" if matches else f"known here: {', '.join(siblings)}."
        return f"There is no parameter '{path}'; {hint}"
    if detail["type"] == "missing":
        return f"The parameter '{path}' is missing; conf/base must give it a value."
    value = repr(detail["input"])
    shown = value if len(value) <= SHOWN_CHARACTERS else value[: SHOWN_CHARACTERS - 3] + "..."
    expectation = detail["msg"].removeprefix("Input ").removeprefix("Value error, ")
    return f"The parameter '{path}' is {shown}, but it {expectation}."


def _names_at(model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """Names of the parameters in the group that `path` leads to."""
    current: Any = model
    for part in path:
        field = current.model_fields.get(part) if _is_model(current) else None
        current = field.annotation if field else None
    return list(current.model_fields) if _is_model(current) else []


def _is_model(candidate: Any) -> bool:
    return isinstance(candidate, type) and issubclass(candidate, BaseModel)
