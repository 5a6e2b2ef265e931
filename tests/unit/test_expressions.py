"""Both renderings of an update: what DynamoDB would refuse, and whether they say the same."""

import re

import pytest

from inference.expressions import Update, from_attribute, to_attribute
from inference.moves import Moves
from inference.requests import ErrorCode, Failure
from tests.unit.conditions import tokens_of
from tests.unit.fakes import NOW, Clock
from tests.unit.samples import a_record

FAILURE = Failure(ErrorCode.TIMEOUT, "slow", 2)
MOVES = Moves(Clock())
KEYED = a_record(submit_id="s")

UPDATES = {
    "claim_first": MOVES.claim_first("a1", NOW, NOW + 1, invocation_id="i", model_version="1"),
    "claim": MOVES.claim("a1", NOW, NOW + 1, invocation_id="i", model_version="1"),
    "claim_unless_last": MOVES.claim_unless_last("a1", NOW, NOW + 1, 3, {"invocation_id": "i"}),
    "take_over": MOVES.take_over("a1", NOW, NOW + 1, invocation_id="i", model_version="1"),
    "confirm_submit": MOVES.confirm_submit(KEYED),
    "take_submit_over": MOVES.take_submit_over(KEYED, "t"),
    "succeed": MOVES.succeed("a1", 1, "{}"),
    "fail": MOVES.fail("a1", 1, FAILURE),
    "fail_and_keep": MOVES.fail("a1", 1, FAILURE, "{}"),
    "release": MOVES.release("a1", 1, FAILURE, alone=False),
    "release_alone": MOVES.release("a1", 1, FAILURE, alone=True),
    "cancel": MOVES.cancel("a1"),
    "expire": MOVES.expire("a1"),
    "bury": MOVES.bury("a1", FAILURE),
    "bury_and_keep": MOVES.bury("a1", FAILURE, "{}"),
    "suspect": MOVES.suspect(a_record()),
    "suspect_keyed": MOVES.suspect(KEYED),
    "bury_lost": MOVES.bury_lost(a_record(), FAILURE),
    "bury_lost_keyed": MOVES.bury_lost(KEYED, FAILURE),
    "replay": MOVES.replay(a_record(), NOW * 2, NOW, 5),
    "forget_input": MOVES.forget_input("a1"),
}
IN_BATCHES = {name: update for name, update in UPDATES.items() if not update.increments}


def test_every_move_is_here() -> None:
    public = {name for name in vars(Moves) if not name.startswith("_")}
    assert public <= UPDATES.keys()


def test_the_moves_of_a_batchs_happy_path_can_go_in_a_batch() -> None:
    assert {"claim_first", "succeed", "fail", "release"} <= IN_BATCHES.keys()


@pytest.mark.parametrize("update", UPDATES.values(), ids=UPDATES)
class TestUpdateItem:
    def test_names_and_values_are_all_bound_and_all_used(self, update: Update) -> None:
        arguments = update.to_update_item("t")
        text = arguments["UpdateExpression"] + " " + arguments["ConditionExpression"]
        assert set(re.findall(r"#\w+", text)) == arguments["ExpressionAttributeNames"].keys()
        assert set(re.findall(r":\w+", text)) == arguments["ExpressionAttributeValues"].keys()

    def test_every_attribute_is_named_through_a_placeholder(self, update: Update) -> None:
        arguments = update.to_update_item("t")
        text = arguments["UpdateExpression"] + " " + arguments["ConditionExpression"]
        words = set(re.findall(r"(?<![#:\w])[A-Za-z]\w*", text))
        assert words <= {"SET", "REMOVE", "AND", "OR", "attribute_exists", "attribute_not_exists"}
        assert not set("[]") & set(text)

    def test_no_attribute_is_touched_twice(self, update: Update) -> None:
        touched = [*update.sets, *update.increments, *update.removes]
        assert len(touched) == len(set(touched))
        assert "request_id" not in touched

    def test_it_never_creates_a_record(self, update: Update) -> None:
        arguments = update.to_update_item("t")
        assert arguments["ConditionExpression"].startswith("attribute_exists(#request_id) AND (")
        assert arguments["ConditionExpression"].endswith(")")

    def test_there_are_no_parentheses_around_parentheses(self, update: Update) -> None:
        condition = update.to_update_item("t")["ConditionExpression"]
        opened: list[int] = []
        groups = set()
        for position, character in enumerate(condition):
            if character == "(":
                opened.append(position)
            elif character == ")":
                groups.add((opened.pop(), position))
        assert not opened
        assert not [1 for start, end in groups if (start + 1, end - 1) in groups], "DynamoDB refuses it as redundant"

    def test_values_have_a_type_that_dynamodb_knows(self, update: Update) -> None:
        for value in update.to_update_item("t")["ExpressionAttributeValues"].values():
            ((kind, content),) = value.items()
            assert (kind, type(content)) in {("S", str), ("N", str), ("BOOL", bool)} or issubclass(type(content), str)

    def test_the_condition_is_in_the_language_of_updates(self, update: Update) -> None:
        tokens = tokens_of(update.condition)
        assert {token[1:] for token in tokens if token[0] == ":"} <= update.values.keys()


@pytest.mark.parametrize("update", IN_BATCHES.values(), ids=IN_BATCHES)
class TestStatement:
    def test_every_parameter_has_its_place(self, update: Update) -> None:
        statement = update.to_statement("t")
        text, parameters = statement["Statement"], statement["Parameters"]
        assert text.count("?") == len(parameters)
        assert not set("[]:#") & set(text)

    def test_it_says_the_same_as_the_update_item(self, update: Update) -> None:
        """Both are put back into one form, with the values in their places."""
        statement = update.to_statement("t")
        text = statement["Statement"]
        for parameter in statement["Parameters"]:
            text = text.replace("?", f"<{parameter}>", 1)
        parts = re.fullmatch(r'UPDATE "t" (.*) WHERE "request_id" = <.*?a1.*?> AND (.*)', text)
        changes, condition = parts.groups()
        item = update.to_update_item("t")

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
        assert {name for kind, name, _ in spoken_clauses if kind == "SET"} == update.sets.keys()
        assert {name for kind, name, _ in spoken_clauses if kind == "REMOVE"} == set(update.removes)
        assert all(f"#{name}" in removes for kind, name, _ in spoken_clauses if kind == "REMOVE")
        for kind, name, value in spoken_clauses:
            assert kind != "SET" or f"#{name} = {value}" in sets

    def test_a_refusal_brings_the_record(self, update: Update) -> None:
        assert update.to_statement("t")["ReturnValuesOnConditionCheckFailure"] == "ALL_OLD"


def test_an_update_that_increments_has_no_statement() -> None:
    with pytest.raises(ValueError, match="increments"):
        UPDATES["claim"].to_statement("t")


@pytest.mark.parametrize("value", [0, -1, 2**60, "", "x", "\ud800", True, False])
def test_values_survive_the_table(value: object) -> None:
    back = from_attribute(to_attribute(value))
    assert (back, type(back)) == (value, type(value))


def test_a_value_that_is_used_twice_is_bound_twice_in_a_statement() -> None:
    update = Update("a1", "[a] = :x OR [b] = :x", sets={"c": 1}, values={"x": 2, "unused": 3})
    assert update.to_statement("t")["Parameters"] == [{"N": "1"}, {"S": "a1"}, {"N": "2"}, {"N": "2"}]
    assert update.to_update_item("t")["ExpressionAttributeValues"] == {":x": {"N": "2"}, ":set_c": {"N": "1"}}


def test_an_update_that_only_removes() -> None:
    update = Update("a1", "[a] = :x", removes=("b", "c"), values={"x": 1})
    assert update.to_update_item("t")["UpdateExpression"].strip() == "REMOVE #b, #c"
