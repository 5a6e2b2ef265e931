"""Both renderings of a transition: what DynamoDB would reject, and whether they say the same."""

import re

import pytest

from inference.conditions import Eq, Or, Param
from inference.store.expressions import condition_arguments, from_attribute, to_attribute, to_statement, to_update_item
from inference.transitions import ANY, Increment, Transition, Update, create_if, discard_if
from tests.unit.conditions import params_of
from tests.unit.samples import TRANSITIONS, a_record, updates_of

UPDATES = updates_of(a_record())
IN_BATCHES = {name: update for name, update in UPDATES.items() if update.transition.in_batches}


def test_each_transition_has_an_update_here() -> None:
    assert {name: update.transition for name, update in UPDATES.items()} == TRANSITIONS


def test_the_transitions_of_a_batchs_happy_path_can_go_in_a_batch() -> None:
    assert {"claim_first", "succeed", "fail", "fail_keeping_input", "release"} <= IN_BATCHES.keys()


@pytest.mark.parametrize("update", UPDATES.values(), ids=UPDATES)
class TestUpdateItem:
    def test_names_and_values_are_all_bound_and_all_used(self, update: Update) -> None:
        arguments = to_update_item(update, "t")
        text = arguments["UpdateExpression"] + " " + arguments["ConditionExpression"]
        assert set(re.findall(r"#\w+", text)) == arguments["ExpressionAttributeNames"].keys()
        assert set(re.findall(r":\w+", text)) == arguments["ExpressionAttributeValues"].keys()

    def test_every_attribute_is_named_through_a_placeholder(self, update: Update) -> None:
        arguments = to_update_item(update, "t")
        text = arguments["UpdateExpression"] + " " + arguments["ConditionExpression"]
        words = set(re.findall(r"(?<![#:\w])[A-Za-z]\w*", text))
        assert words <= {"SET", "REMOVE", "AND", "OR", "attribute_exists", "attribute_not_exists"}
        assert not set("[]") & set(text)

    def test_no_attribute_is_touched_twice(self, update: Update) -> None:
        touched = [*update.transition.sets, *update.transition.removes]
        assert len(touched) == len(set(touched))
        assert "request_id" not in touched

    def test_it_never_creates_a_record(self, update: Update) -> None:
        arguments = to_update_item(update, "t")
        assert arguments["ConditionExpression"].startswith("attribute_exists(#request_id) AND ")
        without_groups = re.sub(r"\([^()]*\)", "", re.sub(r"\(#\w+\)", "", arguments["ConditionExpression"]))
        assert " OR " not in without_groups, "what must exist would be one of two ways"

    def test_there_are_no_parentheses_around_parentheses(self, update: Update) -> None:
        condition = to_update_item(update, "t")["ConditionExpression"]
        opened: list[int] = []
        groups = set()
        for position, character in enumerate(condition):
            if character == "(":
                opened.append(position)
            elif character == ")":
                groups.add((opened.pop(), position))
        assert not opened
        assert not [1 for start, end in groups if (start + 1, end - 1) in groups], "DynamoDB rejects it as redundant"

    def test_values_have_a_type_that_dynamodb_knows(self, update: Update) -> None:
        for value in to_update_item(update, "t")["ExpressionAttributeValues"].values():
            ((kind, content),) = value.items()
            assert (kind, type(content)) in {("S", str), ("N", str), ("BOOL", bool)} or issubclass(type(content), str)

    def test_the_values_are_those_that_the_transition_wants(self, update: Update) -> None:
        assigned = {value.name for value in update.transition.sets.values() if isinstance(value, Param)}
        assert params_of(update.transition.condition) | assigned == update.values.keys()


@pytest.mark.parametrize("update", IN_BATCHES.values(), ids=IN_BATCHES)
class TestStatement:
    def test_every_parameter_has_its_place(self, update: Update) -> None:
        statement = to_statement(update, "t")
        text, parameters = statement["Statement"], statement["Parameters"]
        assert text.count("?") == len(parameters)
        assert not set("[]:#") & set(text)

    def test_it_says_the_same_as_the_update_item(self, update: Update) -> None:
        """Both are put back into one form, with the values in their places."""
        statement = to_statement(update, "t")
        text = statement["Statement"]
        for parameter in statement["Parameters"]:
            text = text.replace("?", f"<{parameter}>", 1)
        parts = re.fullmatch(r'UPDATE "t" (.*) WHERE "request_id" = <.*?a1.*?> AND (.*)', text)
        changes, condition = parts.groups()
        item = to_update_item(update, "t")

        def bound(text: str) -> str:
            for name, value in sorted(item["ExpressionAttributeValues"].items(), key=lambda pair: -len(pair[0])):
                text = text.replace(name, f"<{value}>")
            return text

        expected = bound(item["ConditionExpression"]).removeprefix("attribute_exists(#request_id) AND ")
        spoken = re.sub(r'"(\w+)" IS MISSING', r"attribute_not_exists(#\1)", condition)
        assert re.sub(r'"(\w+)"', r"#\1", spoken) == expected
        sets, _, removes = bound(item["UpdateExpression"]).partition("REMOVE ")
        clauses = [f"SET {each}" for each in sets.strip().removeprefix("SET ").split(", #") if each]
        clauses = [clause.replace("SET ##", "SET #") for clause in clauses]
        spoken_clauses = re.findall(r'(SET|REMOVE) "(\w+)"(?: = (<\{.*?\}>))?', changes)
        assert {name for kind, name, _ in spoken_clauses if kind == "SET"} == update.transition.sets.keys()
        assert {name for kind, name, _ in spoken_clauses if kind == "REMOVE"} == set(update.transition.removes)
        assert all(f"#{name}" in removes for kind, name, _ in spoken_clauses if kind == "REMOVE")
        for kind, name, value in spoken_clauses:
            assert kind != "SET" or f"#{name} = {value}" in sets

    def test_a_rejection_brings_the_record(self, update: Update) -> None:
        assert to_statement(update, "t")["ReturnValuesOnConditionCheckFailure"] == "ALL_OLD"


def test_a_transition_that_increments_has_no_statement() -> None:
    with pytest.raises(ValueError, match="increments"):
        to_statement(UPDATES["take_over"], "t")


@pytest.mark.parametrize("value", [0, -1, 2**60, "", "x", "\ud800", True, False])
def test_values_survive_the_table(value: object) -> None:
    back = from_attribute(to_attribute(value))
    assert (back, type(back)) == (value, type(value))


def test_a_value_that_is_used_twice_is_bound_twice_in_a_statement() -> None:
    transition = Transition(ANY, None, only_if=(Or(Eq("a", Param("x")), Eq("b", Param("x"))),), sets={"c": 1})
    update = Update(transition, "a1", {"x": 2, "unused": 3})
    assert to_statement(update, "t")["Parameters"] == [{"N": "1"}, {"S": "a1"}, {"N": "2"}, {"N": "2"}]
    assert to_update_item(update, "t")["ExpressionAttributeValues"] == {":x": {"N": "2"}, ":c_1": {"N": "1"}}


def test_an_update_that_only_removes() -> None:
    update = Update(Transition(ANY, None, only_if=(Eq("a", 1),), removes=("b", "c")), "a1", {})
    assert to_update_item(update, "t")["UpdateExpression"] == "REMOVE #b, #c"


def test_an_increment_adds_one_to_what_is_there() -> None:
    update = Update(Transition(ANY, None, only_if=(Eq("a", 1),), sets={"n": Increment()}), "a1", {})
    assert to_update_item(update, "t")["UpdateExpression"] == "SET #n = #n + :added_1"
    assert to_update_item(update, "t")["ExpressionAttributeValues"] == {":a_1": {"N": "1"}, ":added_1": {"N": "1"}}


def test_the_conditions_of_other_calls() -> None:
    assert condition_arguments(*create_if(a_record(submitted_at=7_999))) == {
        "ConditionExpression": "attribute_not_exists(#request_id) OR #delete_at <= :now_seconds",
        "ExpressionAttributeNames": {"#request_id": "request_id", "#delete_at": "delete_at"},
        "ExpressionAttributeValues": {":now_seconds": {"N": "7"}},
    }
    again = condition_arguments(*create_if(a_record(), lost=a_record(submit_id="s", finished_at=9)))
    item_again = condition_arguments(*create_if(a_record(), lost=a_record(finished_at=9)))
    as_seen = (
        "attribute_not_exists(#request_id) OR #delete_at <= :now_seconds OR (#status = :status_failed"
        " AND #attempts = :attempts_0 AND #finished_at = :finished_at AND "
    )
    assert again["ConditionExpression"] == as_seen + "#submit_id = :seen)"
    assert item_again["ConditionExpression"] == as_seen + "attribute_not_exists(#submit_id))"
    assert again["ExpressionAttributeValues"][":finished_at"] == {"N": "9"}
    keyed = condition_arguments(*discard_if(a_record(submit_id="s")))
    assert keyed["ConditionExpression"] == (
        "attribute_not_exists(#request_id) OR (#status = :status_pending AND #attempts = :attempts_0"
        " AND #submitted_at = :submitted_at AND #submit_id = :submit_id)"
    )
    assert keyed["ExpressionAttributeValues"][":submit_id"] == {"S": "s"}
