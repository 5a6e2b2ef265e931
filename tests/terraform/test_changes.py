"""Changes that AWS takes in one order only, applied to an emulator."""

from __future__ import annotations

import json
import re
import socket
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from inference.requests import FINAL
from inference.telemetry import MEASURED, NAMESPACE
from scripts.deployment.terraform import terraform_env
from scripts.local.emulator import Emulator
from tests.provider_process import running_provider
from tests.terraform.plans import DIGEST, REGION, Json
from tests.terraform.runner import SOURCE, Terraform

pytestmark = pytest.mark.terraform

COUNTED = {
    "ColdStart",
    "InvalidInput",
    "WebhookFailed",
    *(status.title() for status in FINAL),
    *("FailedModelError", "FailedTimeout"),
}
"""Metrics that the functions count, where a failure has one of two codes."""

JWT: Json = {"type": "JWT", "issuer": "https://issuer.example", "audience": ["inference"]}
IAM: Json = {"type": "AWS_IAM"}
NONE: Json = {"type": "NONE"}
KEYS: Json = {
    "type": "API_KEY",
    "cache_seconds": 60,
    "function": {name: f"${{module.function.{name}}}" for name in ("name", "alias_name", "alias_invoke_arn")},
}
PARTS: dict[str, set[str]] = {
    "JWT": {"aws_apigatewayv2_authorizer.jwt[0]"},
    "API_KEY": {"aws_apigatewayv2_authorizer.api_key[0]", "aws_lambda_permission.authorizer[0]"},
    "AWS_IAM": set(),
    "NONE": set(),
}
"""What an authorizer consists of, by its type."""

ZIP = {"zip": {"path": "api.zip", "handler": "api.handler", "runtime": "python3.13"}}
WARMER = {"warmer": {"environments": 2, "schedule": "rate(5 minutes)"}}
IMAGE = {"image": {"uri": f"repository@{DIGEST}"}}


class Changing:
    """Modules that are applied again and again: a function with or without an API, or any others."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self._folder = folder
        self._terraform = Terraform(folder, env)

    def apply(
        self,
        package: Json,
        authorizer: Json | None = None,
        tracing: bool = False,
        invocation_lines: bool = False,
        warmth: Json | None = None,
        rollout: Json | None = None,
    ) -> list[str]:
        """Returns what was done, in its order, as `resource action`."""
        modules: Json = {
            "function": {
                "source": str(SOURCE / "modules" / "function"),
                "name": "changes",
                "description": "Is changed.",
                "package": package,
                "architecture": "x86_64",
                "memory_mb": 256,
                "ephemeral_storage_mb": 512,
                "timeout_seconds": 30,
                "environment": {},
                "policies": {},
                "attached_policies": {},
                "warmth": {"provisioned": 1} if warmth is None else warmth,
                "rollout": rollout or {},
                "key": None,
                "vpc": None,
                "reserved_concurrency": None,
                "log_retention_days": 1,
                "tracing": tracing,
                "invocation_lines": invocation_lines,
            }
        }
        if authorizer:
            modules["api"] = {
                "source": str(SOURCE / "modules" / "http_api"),
                "name": "changes",
                "function": {
                    name: f"${{module.function.{name}}}" for name in ("name", "alias_name", "alias_invoke_arn")
                },
                "routes": ["POST /predict", "GET /status/{request_id}"],
                "open_routes": [],
                "extra_routes": {},
                "authorizer": authorizer,
                "throttling": {"burst": 100, "rate": 50},
                "cors": None,
                "kms_key_arn": None,
                "log_retention_days": 1,
            }
        return self.apply_modules(modules)

    def apply_modules(self, modules: Json) -> list[str]:
        """Returns what was done, in its order, as `resource action`."""
        root = {"provider": {"aws": {"region": REGION}}, "module": modules}
        (self._folder / "main.tf.json").write_text(json.dumps(root))
        self._terraform.init(".")
        done = self._hooks("apply_complete", "apply", "-json", "-auto-approve")
        return [f"{hook['resource']['resource']} {hook['action']}" for hook in done]

    def change(self, package: str) -> None:
        """Let a zip have other code."""
        with zipfile.ZipFile(self._folder / package, "a") as archive:
            archive.writestr(f"more{len(archive.namelist())}.py", "")

    def planned(self) -> list[str]:
        """The resources that another apply would change."""
        return [change["resource"]["resource"] for change in self._hooks("planned_change", "plan", "-json")]

    def values_of(self, kind: str) -> list[Json]:
        """The values of the resources of a type, in all modules."""
        state = json.loads(self._terraform.run(".", "show", "-json"))
        modules = state["values"]["root_module"]["child_modules"]
        return [r["values"] for module in modules for r in module["resources"] if r["type"] == kind]

    def _hooks(self, kind: str, *command: str) -> list[Json]:
        events = map(json.loads, self._terraform.run(".", *command).splitlines())
        hooks = [event.get("hook") or event["change"] for event in events if event["type"] == kind]
        return [hook for hook in hooks if hook["action"] != "read"]


@pytest.fixture
def changing(tmp_path: Path, provider: Path) -> Iterator[Changing]:
    """A folder of Terraform's with an emulator of its own."""
    with zipfile.ZipFile(tmp_path / "api.zip", "w") as archive:
        archive.writestr("api.py", "def handler(event, context): ...")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    emulator = Emulator(port, tmp_path / "emulator", lifetime_seconds=300)
    emulator.start()
    env = emulator.client_env(terraform_env())
    with running_provider(provider, tmp_path, env) as attached:
        yield Changing(tmp_path, env | attached)
    emulator.stop()


def test_the_authorizer_changes_without_a_gap(changing: Changing) -> None:
    """API Gateway deletes no authorizer that a route uses, and asks no function without the permission for it."""
    changing.apply(ZIP, IAM)
    routes = [f'aws_apigatewayv2_route.this["{key}"] update' for key in ("GET /status/{request_id}", "POST /predict")]
    before: set[str] = set()
    for authorizer in (JWT, KEYS, IAM, KEYS, JWT, NONE):
        after = PARTS[authorizer["type"]]
        done = changing.apply(ZIP, authorizer)
        created, deleted = (
            [f"{part} {action}" for part in parts] for action, parts in (("create", after), ("delete", before))
        )
        assert sorted(done) == sorted([*created, *routes, *deleted])
        at = [done.index(route) for route in routes]
        assert all(done.index(part) < min(at) for part in created), done
        assert all(done.index(part) > max(at) for part in deleted), done
        assert changing.planned() == []
        before = after


def test_a_function_of_another_package_type_keeps_its_alias(changing: Changing) -> None:
    """It is another function, of the same name: the old one takes its alias and its warm instances with it."""
    changing.apply(ZIP)
    assert changing.planned() == []
    changing.apply(IMAGE)
    assert changing.planned() == [], "nothing is missing after one apply"


@pytest.mark.parametrize("warmth", [{"snap_start": True}, WARMER], ids=["snap_start", "warmer"])
def test_what_keeps_environments_ready_can_be_changed_and_taken_away(changing: Changing, warmth: Json) -> None:
    for wanted in ({"provisioned": 1}, warmth, {"provisioned": 2}, warmth, {}):
        changing.apply(ZIP, warmth=wanted)
        assert changing.planned() == []
    assert "snap_start" in warmth or not changing.values_of("aws_cloudwatch_event_target")


def test_a_function_of_another_package_type_keeps_its_warmer(changing: Changing) -> None:
    changing.apply(ZIP, warmth=WARMER)
    changing.apply(IMAGE, warmth=WARMER)
    assert changing.planned() == [], "nothing is missing after one apply"


def test_a_version_that_is_kept_is_lost_with_the_package_type_that_it_is_of(changing: Changing) -> None:
    """A canary beside version 1, then a rollback to it; as an image it is another function, without that version."""
    changing.apply(ZIP, warmth={}, rollout={"canary": 0.1})
    kept = {"version": "1", "rejected": [], "package_type": "Zip"}
    changing.change("api.zip")
    changing.apply(ZIP, warmth={}, rollout={"canary": 0.1, "kept": kept})
    (alias,) = changing.values_of("aws_lambda_alias")
    assert alias["function_version"] == "1"
    assert alias["routing_config"] == [{"additional_version_weights": {"2": 0.1}}]
    assert changing.planned() == []
    changing.apply(ZIP, warmth={}, rollout={"kept": kept | {"rejected": ["2"]}})
    (alias,) = changing.values_of("aws_lambda_alias")
    assert (alias["function_version"], alias["routing_config"]) == ("1", [])
    assert changing.planned() == []
    changing.apply(IMAGE, warmth={}, rollout={"canary": 0.1, "kept": kept})
    (alias,) = changing.values_of("aws_lambda_alias")
    (function,) = changing.values_of("aws_lambda_function")
    assert (alias["function_version"], alias["routing_config"]) == (function["version"], [])
    assert changing.planned() == []


def test_tracing_can_be_turned_on_and_off_again(changing: Changing) -> None:
    changing.apply(ZIP)
    for tracing, policy in ((True, "create"), (False, "delete")):
        changed = changing.apply(ZIP, tracing=tracing)
        assert {"aws_lambda_function.this update", f"aws_iam_role_policy.tracing[0] {policy}"} <= set(changed)
        assert changing.planned() == []


def test_lines_of_invocations_can_be_turned_on_and_off_again(changing: Changing) -> None:
    for invocation_lines in (False, True, False):
        changing.apply(ZIP, invocation_lines=invocation_lines)
        (function,) = changing.values_of("aws_lambda_function")
        assert function["logging_config"][0]["log_format"] == ("Text" if invocation_lines else "JSON")
        assert changing.planned() == []


def test_alarms_and_dashboard_are_right_after_one_apply(changing: Changing) -> None:
    """The alarms of each kind: of a metric, of a percentile, of an expression."""
    worker = {"queue": "p-mine", "function": "p-worker-mine", "timeout_seconds": 60, "alarms": True}
    monitoring: Json = {
        "source": str(SOURCE / "modules" / "monitoring"),
        "name": "p",
        "dashboard": True,
        "alarms": True,
        "emails": ["team@example.com"],
        "workers": {"mine": worker},
        "dead_letter_queue": "p-dlq",
        "webhook_dead_letter_queue": "p-webhooks-dlq",
        "intake_dead_letter_queue": "p-intake-dlq",
        "sync_functions": {"mine": "p-sync-mine"},
        "functions": {"api": "p-api", "dead_letters": "p-dead-letters", "sweeper": "p-sweeper", "batches": "p-batches"},
        "api_id": "abc",
        "metrics": True,
        "error_codes": ["model_error", "timeout"],
        "sweeper_schedule": "rate(5 minutes)",
        "oldest_message_seconds": 900,
        "failed_share": 0.05,
        "kms_key_arn": None,
    }
    created = changing.apply_modules({"monitoring": monitoring})
    assert sum("aws_cloudwatch_metric_alarm" in each for each in created) == 15
    assert changing.planned() == []
    shown = _metrics_of(changing)
    assert shown == {*MEASURED, *COUNTED}, "the dashboard has every metric that the functions write, and no other"
    changed = changing.apply_modules({"monitoring": monitoring | {"oldest_message_seconds": 60}})
    assert changed == ['aws_cloudwatch_metric_alarm.oldest_message["mine"] update']
    assert changing.planned() == []
    removed = changing.apply_modules({"monitoring": monitoring | {"alarms": False, "emails": [], "dashboard": False}})
    assert all(each.endswith(" delete") for each in removed)
    assert len(removed) == len(created)


def _metrics_of(changing: Changing) -> set[str]:
    """The functions' own metrics that alarms and dashboard read."""
    (dashboard,) = changing.values_of("aws_cloudwatch_dashboard")
    names: set[str] = set()
    for widget in json.loads(dashboard["dashboard_body"])["widgets"]:
        for line in widget["properties"]["metrics"]:
            if isinstance(line[0], dict):
                names |= set(re.findall(r'MetricName="(\w+)"', line[0]["expression"]))
            elif line[0] == NAMESPACE:
                names.add(line[1])
    for alarm in changing.values_of("aws_cloudwatch_metric_alarm"):
        for metric in (metric for query in alarm["metric_query"] for metric in query["metric"]):
            if metric["namespace"] == NAMESPACE:
                assert metric["metric_name"] in names
    return names
