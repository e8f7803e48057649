import ast
import copy
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import validate

from api.describing import operations_of
from api.examples import Examples
from api.problem_kinds import KINDS, uri_of
from api.problems import MEDIA_TYPE
from api.scopes import SCOPES
from scripts import generate_openapi
from scripts.openapi_changes import breaking

ROOT = Path(__file__).parents[2]
Document = dict[str, Any]
BINARY = {"application/octet-stream", "application/vnd.noctis.frame", "application/zip"}
VERBS = (
    "Add|Annotate|Ask|Cancel|Change|Configure|Declare|Delete|End|Erase|Explain|Fetch|Get|Give|"
    "Have|Hold|Keep|Let|List|Look|Provision|Read|Remove|Replay|Resume|Revoke|Stage|Start|Stop|"
    "Store|Stream|Tell|Upload"
)


@pytest.fixture(scope="module")
def document() -> Document:
    return generate_openapi.description()


def bodies(document: Document) -> Iterator[tuple[str, bool, str, Any]]:
    """Yield what an operation takes and what it answers when all is well."""
    for operation in operations_of(document):
        name = operation["operationId"]
        for kind, media in operation.get("requestBody", {}).get("content", {}).items():
            yield f"{name} request {kind}", True, kind, media
        for status, response in operation["responses"].items():
            if status.startswith("2"):
                for kind, media in response.get("content", {}).items():
                    yield f"{name} {status} {kind}", False, kind, media


def complaints(document: Document, schema: Document, value: Any) -> list[str]:  # noqa: ANN401
    whole = {**schema, "components": document["components"]}
    checker = Draft202012Validator(whole, format_checker=FormatChecker())
    return [f"{list(it.path)}: {it.message}" for it in checker.iter_errors(value)]


def test_the_description_is_valid_openapi(document: Document) -> None:
    validate(document)


def test_every_request_and_every_good_reply_has_an_example_that_its_schema_admits(
    document: Document,
) -> None:
    wrong = []
    for name, _, kind, media in bodies(document):
        if kind in BINARY:
            continue
        values = [it["value"] for it in media.get("examples", {}).values()]
        values += [media["example"]] if "example" in media else []
        wrong += [] if values else [f"{name} has none"]
        if kind != "text/event-stream":  # its schema is of one event, its example of the bytes
            schema = media.get("schema", {})
            wrong += [f"{name}: {it}" for v in values for it in complaints(document, schema, v)]
    assert wrong == []


def test_no_part_of_an_example_is_guessed_from_its_type(document: Document) -> None:
    examples = Examples(document["components"]["schemas"])
    for name, is_request, kind, media in bodies(document):
        if kind not in BINARY and "example" not in media:
            examples.of_body(name, media.get("schema", {}), is_request=is_request)
    hint = "give the field an example, or a line in api/example_values.py"
    assert examples.guessed == set(), hint


def kinds_in(folder: Path) -> set[str]:
    """Return the kinds that the source of a folder names in calls of ProblemError."""
    found = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "ProblemError":
                for keyword in node.keywords:
                    if keyword.arg == "kind":
                        assert isinstance(keyword.value, ast.Constant), f"{path}:{node.lineno}"
                        found.add(str(keyword.value.value))
    return found


def test_every_kind_of_problem_in_the_source_is_listed_and_every_listed_one_is_used() -> None:
    assert kinds_in(ROOT / "api") == KINDS.keys(), "the list is api/problem_kinds.py"


def test_every_kind_that_the_public_routes_can_tell_is_one_of_an_operation_s(
    document: Document,
) -> None:
    told = {
        kind
        for response in document["components"]["responses"].values()
        for media in response["content"].values()
        for kind in media["schema"]["allOf"][1]["properties"]["type"]["enum"]
    }
    public = kinds_in(ROOT / "api") - kinds_in(ROOT / "api" / "internal")
    assert {uri_of(name) for name in public} - told == set(), "name it in `documented(…)`"


def test_every_example_of_a_problem_is_one_of_the_kinds_that_it_stands_for(
    document: Document,
) -> None:
    components = document["components"]
    for name, response in components["responses"].items():
        media = response["content"][MEDIA_TYPE]
        for example in media["examples"].values():
            value = components["examples"][example["$ref"].rpartition("/")[2]]["value"]
            assert complaints(document, media["schema"], value) == [], name
        assert len(media["examples"]) == len(
            media["schema"]["allOf"][1]["properties"]["type"]["enum"]
        )


def test_summaries_begin_with_a_verb_and_tags_and_scopes_are_described(
    document: Document,
) -> None:
    tags = {it["name"]: it["description"] for it in document["tags"]}
    for operation in operations_of(document):
        summary = operation["summary"]
        assert re.match(rf"({VERBS}) ", summary), summary
        assert summary[-1] not in ".?!", summary
        assert len(operation["tags"]) == 1
        assert tags[operation["tags"][0]]
        for scheme in operation.get("security", ()):
            assert set(scheme["token"]) <= SCOPES.keys()
            assert scheme["token"], operation["operationId"]


def test_the_files_in_docs_are_those_that_the_source_makes(document: Document) -> None:
    hint = "run python -m scripts.generate_openapi"
    committed = json.loads((ROOT / generate_openapi.DESCRIPTION).read_text("utf-8"))
    assert breaking(committed, document) == [], f"{hint} --breaking, if that is meant"
    assert committed == document, hint
    page = (ROOT / generate_openapi.PROBLEMS).read_text("utf-8")
    assert page == generate_openapi.problems_page(document), hint


def no_path(it: Document) -> None:
    del it["paths"]["/v1/devices"]


def no_operation(it: Document) -> None:
    del it["paths"]["/v1/devices"]["post"]


def another_id(it: Document) -> None:
    it["paths"]["/v1/devices"]["get"]["operationId"] = "devices"


def no_member(it: Document) -> None:
    del it["components"]["schemas"]["Device"]["properties"]["time_zone"]


def a_member_less_sure(it: Document) -> None:
    it["components"]["schemas"]["Device"]["required"].remove("time_zone")


def a_member_more_to_send(it: Document) -> None:
    it["components"]["schemas"]["NewDevice"]["required"].append("time_zone")


def another_scope(it: Document) -> None:
    it["paths"]["/v1/devices"]["get"]["security"] = [{"token": ["devices:write"]}]


def no_parameter(it: Document) -> None:
    it["paths"]["/v1/devices"]["get"]["parameters"].pop()


def no_word(it: Document) -> None:
    it["components"]["schemas"]["NewUser"]["properties"]["role"]["enum"].remove("viewer")


def no_media_type(it: Document) -> None:
    content = it["paths"]["/v1/recordings/{recording}/hypnogram"]["get"]["responses"]["200"]
    del content["content"]["text/csv"]


@pytest.mark.parametrize(
    "change",
    [
        *(no_path, no_operation, another_id, no_member, a_member_less_sure),
        *(a_member_more_to_send, another_scope, no_parameter, no_word, no_media_type),
    ],
)
def test_a_change_that_breaks_programs_is_told(
    document: Document, change: Callable[[Document], None]
) -> None:
    changed = copy.deepcopy(document)
    change(changed)
    assert breaking(document, changed) != []


def test_what_is_added_breaks_nobody(document: Document) -> None:
    changed = copy.deepcopy(document)
    devices = changed["paths"]["/v1/devices"]
    changed["paths"]["/v1/lamps"] = {"get": {**devices["get"], "operationId": "listLamps"}}
    changed["components"]["schemas"]["Device"]["properties"]["room"] = {"type": "string"}
    changed["components"]["schemas"]["Device"]["required"].append("room")
    changed["components"]["schemas"]["NewDevice"]["properties"]["room"] = {"type": "string"}
    assert breaking(document, changed) == []
