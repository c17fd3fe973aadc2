"""Sections of what a hyperparameter search may try, and what the families that can be searched have in common."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import combinations, product
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, ValidationError, model_validator

from daycast.config.family import Family
from daycast.config.section import Section

Scalar = int | float | str | bool | None


class Dimension(Section):
    from_trials: int = Field(
        default=1,
        ge=1,
        description="a search of fewer trials leaves this as it is configured: few trials can't tell many things apart",
    )


class FloatRange(Dimension):
    """Real numbers to search."""

    kind: Literal["float"] = Field(description="kind of range")
    low: float = Field(description="least value")
    high: float = Field(description="greatest value")
    log: bool = Field(default=False, description="whether to search on a logarithmic scale")

    @model_validator(mode="after")
    def _ascends(self) -> Self:
        return _ascending(self)


class IntRange(Dimension):
    """Whole numbers to search."""

    kind: Literal["int"] = Field(description="kind of range")
    low: int = Field(description="least value")
    high: int = Field(description="greatest value")
    step: int = Field(default=1, ge=1, description="distance between values")

    @model_validator(mode="after")
    def _ascends(self) -> Self:
        return _ascending(self)


class Choice(Dimension):
    """Values to choose from."""

    kind: Literal["choice"] = Field(description="kind of range")
    values: tuple[Scalar, ...] = Field(min_length=1, description="the values")


class Variants(Dimension):
    """Named groups of values that are chosen as a whole: a recipe of transforms, a loss with its quantiles, ..."""

    kind: Literal["variants"] = Field(description="kind of range")
    values: dict[str, dict[str, Any]] = Field(
        min_length=1, description="name, which trials and plots show -> field of the model -> value, as in its YAML"
    )

    @model_validator(mode="after")
    def _all_of_the_same_fields(self) -> Self:
        given = {tuple(sorted(variant)) for variant in self.values.values()}
        if len(given) > 1:
            raise ValueError(f"expected the same fields in each variant, found {sorted(given)}")
        return self


Space = Annotated[FloatRange | IntRange | Choice | Variants, Field(discriminator="kind")]


class Searchable(Family):
    """A family of which values can be searched, each by itself or several at once."""

    FIXED: ClassVar[tuple[str, ...]] = ("family", "search", "inputs", "horizon", "budget_s")
    """Fields that say what a model is for, or what it may cost: no search may change them."""

    search: dict[str, Space] = Field(
        default={},
        description="field of this model (inside another: profile.window), or any name for variants -> what to search; "
        "the search starts at the values configured, where they lie in it",
    )

    @model_validator(mode="after")
    def _what_may_be_tried_is_sound(self) -> Self:
        # Of a model that is refused itself, its own checks tell why. Larger searches are checked where their size is
        # known: a model changed on the command line need not suit dimensions that nobody searches.
        if self.search and self._refusal({}) is None and (faults := [*self._field_faults()] or self.value_faults(1)):
            raise ValueError("\n".join(faults))
        return self

    def _field_faults(self) -> Iterator[str]:
        owners: dict[str, str] = {}
        values = self.model_dump(mode="json", exclude=set(self.FIXED))
        for name, space in self.search.items():
            for field in _fields(name, space):
                what = "not a field of this model" if field == name else f"`{field}` is no field of this model"
                if not _has(values, field):
                    yield f"search.{name}: {what} that can be searched"
                elif owners.setdefault(field, name) != name:
                    yield f"search.{name}: `{field}` is searched by `{owners[field]}` already"

    def value_faults(self, n_trials: int) -> list[str]:
        """What a search of so many trials may draw and the model refuses: values by themselves, and each with those of
        another dimension. More at once are rare, and a trial that draws them is pruned."""
        tried = {name: _tried(space) for name, space in self.space(n_trials).items()}
        alone = {(n, v): self._refusal({n: v}) for n, values in tried.items() for v in values}
        faults = [f"search.{n}: {v!r} is refused: {told}" for (n, v), told in alone.items() if told]
        for one, other in combinations(tried, 2):
            for x, y in product(tried[one], tried[other]):
                if not (alone[one, x] or alone[other, y]) and (told := self._refusal({one: x, other: y})):
                    pair = f"{x!r} with {other} {y!r} is refused: {told}"
                    faults.append(f"search.{one}: {pair}; make both one dimension, of kind variants")
                    break
        return faults

    def _refusal(self, parameters: Mapping[str, Any]) -> str | None:
        try:
            self.with_parameters(parameters)
        except ValidationError as error:
            return str(error.errors()[0]["msg"]).removeprefix("Value error, ").splitlines()[0]
        return None

    def space(self, n_trials: int) -> dict[str, Space]:
        """What a search of so many trials tries."""
        return {name: space for name, space in self.search.items() if n_trials >= space.from_trials}

    def start(self, n_trials: int) -> dict[str, Any]:
        """The configured values as parameters of a trial of such a search, as far as they lie in its space."""
        found: dict[str, Any] = {}
        values = self.model_dump(mode="json")
        for name, space in self.space(n_trials).items():
            if isinstance(space, Variants):
                same = [v for v in space.values if self.with_parameters({name: v}) == self.with_parameters({})]
                found |= {name: same[0]} if same else {}
            elif _holds(space, value := _section(values, name)[_last(name)]):
                found[name] = value
        return found

    def alternatives(self, n_trials: int) -> Iterator[Self]:
        """This model with each variant of such a search in place."""
        for name, space in self.space(n_trials).items():
            yield from (self.with_parameters({name: v}) for v in (space.values if isinstance(space, Variants) else ()))

    def with_parameters(self, parameters: Mapping[str, Any]) -> Self:
        """This model with a trial's parameters in place, checked again; its search space is spent.

        Raises:
            ValidationError: they don't fit together.
        """
        values = self.model_dump(mode="json")
        for name, value in parameters.items():
            space = self.search.get(name)
            for path, changed in (space.values[value] if isinstance(space, Variants) else {name: value}).items():
                _section(values, path)[_last(path)] = changed
        return self.model_validate_json(json.dumps({**values, "search": {}}))


def _ascending(space: Any) -> Any:
    if space.low > space.high:
        raise ValueError(f"low {space.low} is above high {space.high}")
    return space


def _section(values: dict[str, Any], path: str) -> dict[str, Any]:
    """The mapping that holds a field."""
    for part in path.split(".")[:-1]:
        values = values[part]
    return values


def _last(path: str) -> str:
    return path.rpartition(".")[2]


def _has(values: dict[str, Any], path: str) -> bool:
    try:
        return _last(path) in _section(values, path)
    except (KeyError, TypeError):  # of a section that is null, too
        return False


def _fields(name: str, space: Space) -> tuple[str, ...]:
    return tuple(next(iter(space.values.values()))) if isinstance(space, Variants) else (name,)


def _tried(space: Space) -> tuple[Any, ...]:
    return tuple(space.values) if isinstance(space, (Choice, Variants)) else (space.low, space.high)


def _holds(space: FloatRange | IntRange | Choice, value: Any) -> bool:
    if isinstance(space, Choice):
        return value in space.values
    numeric = isinstance(value, (int, float)) and space.low <= value <= space.high
    return numeric and (isinstance(space, FloatRange) or (value - space.low) % space.step == 0)
