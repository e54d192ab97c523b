"""What a trained policy was trained for, as the card of its weights says, and what of a scenario is beyond that."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from gnnsched_baselines.learned.trained_policy import load_agent
from gnnsched_env.common.checks import require
from gnnsched_env.common.errors import ConfigError
from gnnsched_env.scenario import Scenario

TRAINED_FOR = "trained_for"  # the card's entry: the least and the most of each of MEASURES
PREFIXES = ("agent:", "lookahead:")
MEASURES: dict[str, Callable[[Scenario], tuple[float, ...]]] = {
    "accelerators": lambda scenario: (len(scenario.fleet.accelerators),),
    "kinds": lambda scenario: (len({(entry.pes, entry.dataflows) for entry in scenario.fleet.accelerators}),),
    "PEs": lambda scenario: tuple(entry.pes for entry in scenario.fleet.accelerators),
    "load": lambda scenario: (scenario.environment.load,),
}


def trained_ranges(card: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """Return the (least, most) of each of MEASURES that a card tells; raise ConfigError for what is no range."""
    known = card.get(TRAINED_FOR, {})
    if not isinstance(known, Mapping):
        raise ConfigError(f"card: {TRAINED_FOR} must be a table of ranges, got {known!r:.80}")
    told = {name: known[name] for name in MEASURES if name in known}
    for name, value in told.items():
        numbers = isinstance(value, list | tuple) and all(isinstance(end, int | float) for end in value)
        good = numbers and len(value) == 2 and value[0] <= value[1]
        require("card", f"{TRAINED_FOR} {name}", value, "" if good else "two numbers, [least, most]")
    return {name: (least, most) for name, (least, most) in told.items()}


def beyond(card: Mapping[str, Any], scenario: Scenario) -> tuple[str, ...]:
    """Return, in words, what of a scenario is outside the range of a card; nothing if the card tells no range."""
    told = []
    for name, (least, most) in trained_ranges(card).items():
        outside = sorted({value for value in MEASURES[name](scenario) if not least <= value <= most})
        if outside:
            told.append(f"{name} {', '.join(f'{value:g}' for value in outside)} (trained for {least:g} to {most:g})")
    return tuple(told)


def notes(names: Iterable[str], scenario: Scenario) -> list[str]:
    """Return a sentence for each trained policy, by name, that plays a scenario outside the range of its training."""
    found = []
    for name in names:
        prefix = next((prefix for prefix in PREFIXES if name.startswith(prefix)), None)
        told = beyond(load_agent(name.removeprefix(prefix))[1], scenario) if prefix else ()
        if told:
            found.append(f"{name} was not trained for this: {'; '.join(told)}.")
    return found
