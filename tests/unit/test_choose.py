"""`make choose`: its questions and places, what it takes, and what would change its answer."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from scripts.choose import answers, costs, needs, rules
from scripts.choose.__main__ import ASKED, ask
from scripts.choose.costs import Costs
from scripts.choose.entries import entry, hcl
from scripts.choose.thresholds import thresholds
from scripts.console import CommandError
from scripts.cost import prices

GPUS = prices.load().gpu.memory_gb
SMALL = {"RATE": "10000", "RUN_MS": "500", "MEMORY_MB": "2048"}
ON_GPU = {"RATE": "1000", "RUN_MS": "2000", "MEMORY_MB": "8000", "GPU": "A10G"}

WAYS = {
    "asynchronous": SMALL,
    "pool": SMALL | {"RATE": "50", "MODELS": "3"},
    "sync": SMALL | {"LATENCY": "10"},
    "sync_warm": SMALL | {"LATENCY": "3"},
    "backend": ON_GPU,
    "gpu_instance": ON_GPU | {"LATENCY": "5"},
    "sagemaker": ON_GPU | {"RATE": "10", "IN_AWS": "1"},
    "cloud_run": SMALL | {"MEMORY_MB": "20000"},
    "machine": SMALL | {"MEMORY_MB": "20000", "IN_AWS": "1"},
    "instance": SMALL | {"RATE": "30/s", "RUN_MS": "5"},
}
"""Place -> needs that lead to it."""

EDGES = [
    *WAYS.values(),
    ON_GPU | {"RATE": "5000", "IN_AWS": "1"},  # an instance costs less than an endpoint that never stops
    ON_GPU | {"LONGEST_S": "100000"},  # longer than any platform lets it run
    ON_GPU | {"RATE": "80000", "RUN_MS": "500", "PEAK": "1", "GPU": "RTX4090"},
    SMALL | {"RATE": "100000", "RUN_MS": "900", "PEAK": "1", "GPU": "H100"},
]


def found(given: dict[str, str]) -> Costs:
    return costs.of(needs.parse(given, GPUS))


# The graph


@pytest.mark.parametrize("place", rules.PLACES)
def test_every_place_is_reached(place: str) -> None:
    assert rules.way(found(WAYS[place]))[0] == place


def test_every_question_is_answered_both_ways() -> None:
    walked = {(step.key, step.answer) for given in EDGES for step in rules.way(found(given))[1]}
    expected = {(key, answer) for key in rules.QUESTIONS for answer in (True, False)}
    assert expected - walked == set()


def test_the_graph_is_the_rules() -> None:
    lines = rules.graph().splitlines()
    nodes = {**{key: question.text for key, question in rules.QUESTIONS.items()}, **rules.PLACES}
    drawn = {m[1]: m[2] for line in lines if (m := re.fullmatch(r' +(\w+)[\[{]"(.*)"[\]}]', line))}
    assert drawn == nodes
    arrows = {(m[1], m[2], m[3]) for line in lines if (m := re.fullmatch(r" +(\w+) -->\|(yes|no)\| (\w+)", line))}
    assert arrows == {
        (key, name, getattr(question, name)) for key, question in rules.QUESTIONS.items() for name in ("yes", "no")
    }
    assert {end for _, _, end in arrows} == nodes.keys() - {rules.START}, "nothing hangs in the air"


@pytest.mark.parametrize(
    ("inside", "outside", "place"),
    [
        ({"MEMORY_MB": "10240"}, {"MEMORY_MB": "10241"}, "cloud_run"),
        ({"LONGEST_S": "900"}, {"LONGEST_S": "901"}, "cloud_run"),
        ({"RATE": "10", "INPUT_MB": "5120"}, {"RATE": "10", "INPUT_MB": "5121"}, "machine"),
        ({"LATENCY": "29.1"}, {"LATENCY": "29"}, "sync"),
        ({"LATENCY": "29", "LONGEST_S": "29.1"}, {"LATENCY": "29", "LONGEST_S": "29"}, "sync"),
        ({"LATENCY": "29", "INPUT_MB": "4.6"}, {"LATENCY": "29", "INPUT_MB": "4.5"}, "sync"),
    ],
)
def test_limits_of_the_platforms_decide(inside: dict[str, str], outside: dict[str, str], place: str) -> None:
    assert rules.way(found(SMALL | inside))[0] == "asynchronous"
    assert rules.way(found(SMALL | outside))[0] == place


def test_an_instance_has_to_cost_less_than_half_of_what_the_functions_would() -> None:
    edge = next(t for t in thresholds(found(WAYS["instance"])) if t.name == "RATE")
    at = found(WAYS["instance"] | {"RATE": f"{edge.value * 1.01:.0f}"})
    assert at.instance is not None
    assert at.instance[2] < at.stack / 2
    below = found(WAYS["instance"] | {"RATE": f"{edge.value * 0.99:.0f}"})
    assert below.instance is not None
    assert below.instance[2] > below.stack / 2
    assert (edge.above, edge.place) == (False, "asynchronous")


# What would change the answer


@pytest.mark.parametrize("place", rules.PLACES)
def test_what_would_change_the_answer_does(place: str) -> None:
    case = found(WAYS[place])
    fields = {"RATE": "rate", "RUN_MS": "run_ms", "MEMORY_MB": "memory_mb", "LATENCY": "latency", "PEAK": "peak"}
    fields |= {"INPUT_MB": "input_mb", "LONGEST_S": "longest"}
    changes = thresholds(case)
    for change in changes:
        asked = case.needs
        for factor, expected in ((1.0, change.place), (0.999 if change.above else 1.001, place)):
            value = change.value * factor
            longest = asked.longest * value / asked.run_ms if change.name == "RUN_MS" else asked.longest
            changed = replace(asked, **{"longest": longest, fields[change.name]: value})
            assert rules.place(Costs(changed, case.prices, case.measured)) == expected, change
    assert changes or place == "machine"


# The answer


@pytest.mark.parametrize("place", rules.PLACES)
def test_an_answer_has_place_cost_settings_and_the_way(place: str) -> None:
    case = found(WAYS[place])
    made = entry(place, case)
    text = "\n".join(answers.lines(case))
    assert f"where: {rules.PLACES[place]}\ncost: ${made.dollars:,.2f} a month" in text
    assert (hcl(made.settings) in text) if made.settings else "models = {" not in text
    for note in made.notes:
        assert note in text
    for step in rules.way(case)[1]:
        assert f"{step.text} {'yes' if step.answer else 'no'}\n      {step.because}" in text
    assert bool(made.settings) == (place not in ("sagemaker", "cloud_run", "instance"))


def test_littles_law_names_the_quota_where_it_matters() -> None:
    few, some, many = (
        "\n".join(answers.lines(found(SMALL | {"RATE": rate, "RUN_MS": "2000", "PEAK": "1"})))
        for rate in ("1/s", "5/s", "600/s")
    )
    assert "1 requests a second x 2 s x peak 1 = 2 run at a time" in few
    assert "concurrent executions" not in few
    assert "a new account may have 10 concurrent executions" in some
    assert "= 1,200 run at a time\n  above the usual quota of 1,000" in many


def test_what_no_machine_can_do_is_said() -> None:
    text = "\n".join(answers.lines(found(SMALL | {"MEMORY_MB": "900000"})))
    assert "cost: not known: the price file has no such machine" in text
    assert "instances of up to 512 GB: split or quantize the model" in text


# What it takes


@pytest.mark.parametrize(
    ("text", "per_day"),
    [
        ("20000", 20_000),
        ("20,000", 20_000),
        ("1e6", 1e6),
        ("20k", 20_000),
        ("2M", 2e6),
        ("5/s", 432_000),
        ("10 / min", 14_400),
        ("3/h", 72),
        ("7/d", 7),
    ],
)
def test_a_rate_is_of_a_day_or_says_of_what(text: str, per_day: float) -> None:
    assert needs.rate(text) == pytest.approx(per_day)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"RATE": ""}, "RATE not given: make choose RATE="),
        ({"RATE": "often"}, "RATE=often: give requests a day, such as 20000, or 5/s"),
        ({"RATE": "0"}, "RATE=0: give requests a day"),
        ({"RATE": "1.2.3"}, "RATE=1.2.3: give requests"),
        ({"RATE": "5/week"}, "RATE=5/week: give requests"),
        ({"RUN_MS": "-1"}, "RUN_MS=-1: give a number from 0.01"),
        ({"MEMORY_MB": "nan"}, "MEMORY_MB=nan: give a number from 1"),
        ({"GPU": "GTX"}, r"GPU=GTX: give none, or one of T4 \(16 GB\)"),
        ({"LATENCY": "soon"}, "LATENCY=soon: give a number"),
        ({"LATENCY": "0.4"}, r"LATENCY=0.4 is less than the 0.5 s that a request runs \(RUN_MS\)"),
        ({"LONGEST_S": "0.4"}, r"LONGEST_S=0.4 is less than the usual 0.5 s \(RUN_MS\)"),
        ({"PEAK": "0.5"}, "PEAK=0.5: give a number from 1 to 1,000"),
        ({"MODELS": "0"}, "MODELS=0: give a number from 1"),
        ({"NAME": "My model"}, "NAME=My model: a model's name has 1 to 31"),
    ],
)
def test_what_makes_no_sense_is_an_error_with_the_remedy(given: dict[str, str], said: str) -> None:
    with pytest.raises(CommandError, match=said) as error:
        needs.parse(SMALL | given, GPUS)
    assert error.value.code == 2


def test_what_is_not_given_has_defaults() -> None:
    asked = needs.parse(SMALL, GPUS)
    assert (asked.gpu, asked.latency, asked.peak, asked.input_mb, asked.longest) == (None, None, 3, 0, 1.0)
    assert needs.parse(SMALL | {"GPU": "a10g", "IN_AWS": "1"}, GPUS).gpu == "A10G"


def test_in_a_terminal_it_asks_again_after_a_bad_answer(capsys: pytest.CaptureFixture[str]) -> None:
    scripted = {ASKED["RATE"][0]: ["lots", "5/s"], ASKED["LATENCY"][0]: ["0.1", "3"]}

    def question(text: str, default: str) -> str:
        return scripted[text].pop(0) if text in scripted else default

    given = ask(question, GPUS)
    assert given["RATE"] == "5/s"
    assert given["LATENCY"] == "3"
    assert given["MEMORY_MB"] == ASKED["MEMORY_MB"][1]
    said = capsys.readouterr().err
    assert "RATE=lots: give requests a day" in said
    assert "LATENCY=0.1 is less than the 0.5 s that a request runs" in said
    needs.parse(given, GPUS)
