"""The EPCIS interface by its description, put to requests that a generator invents.

The description is ours, after section 12 of EPCIS 2.0: GS1's own file comes in no package.
"""

from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error

from portal.access import Role
from portal.app import make_portal
from tests.fakes.portal import OURS, make_fake_parts, sign_in

TEXT = {"type": "string", "minLength": 1, "maxLength": 60}
QUERY = [
    "eventType", "EQ_action", "EQ_bizStep", "EQ_disposition", "EQ_readPoint", "EQ_bizLocation",
    "EQ_eventID", "MATCH_epc", "MATCH_anyEPC", "MATCH_parentID", "MATCH_epcClass",
    "GE_eventTime", "LT_eventTime", "GE_recordTime", "orderBy", "orderDirection", "perPage",
    "nextPageToken", "eventCountLimit", "EXISTS_errorDeclaration",
]  # fmt: skip  # a table of names
PARAMETERS = [{"name": name, "in": "query", "schema": TEXT} for name in QUERY]
EVENT = {
    "type": "object",
    "properties": {
        "@context": {"type": ["string", "array"]},
        "type": {"enum": ["ObjectEvent", "AggregationEvent", "TransformationEvent"]},
        "eventTime": TEXT,
        "eventTimeZoneOffset": TEXT,
        "action": {"enum": ["ADD", "OBSERVE", "DELETE"]},
        "epcList": {"type": "array"},
    },
}
PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status"],
    "properties": {"status": {"type": "integer"}},
}


def answers(*statuses: str) -> dict[str, Any]:
    wrong = {"content": {"application/problem+json": {"schema": PROBLEM}}, "description": "x"}
    return {
        status: wrong if status in ("400", "413") else {"description": "x"} for status in statuses
    }


def body(schema: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def at(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": TEXT}


ANY_BODY = body({"type": "object"})
DESCRIPTION: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "EPCIS 2.0", "version": "2.0.0"},
    "paths": {
        "/epcis/capture": {
            "post": {"requestBody": ANY_BODY, "responses": answers("202", "400", "413")},
            "get": {"responses": answers("200")},
        },
        "/epcis/capture/{job}": {
            "get": {"parameters": [at("job")], "responses": answers("200", "404")}
        },
        "/epcis/events": {
            "get": {"parameters": PARAMETERS, "responses": answers("200", "400")},
            "post": {"requestBody": body(EVENT), "responses": answers("201", "400", "413")},
        },
        "/epcis/{list}": {"get": {"parameters": [at("list")], "responses": answers("200", "404")}},
        "/epcis/queries": {
            "get": {"responses": answers("200")},
            "post": {
                "requestBody": body({"type": "object"}),
                "responses": answers("201", "400", "409", "413"),
            },
        },
        "/epcis/queries/{name}": {
            "get": {"parameters": [at("name")], "responses": answers("200", "404")},
        },
        "/epcis/queries/{name}/subscriptions": {
            "post": {
                "parameters": [at("name")],
                "requestBody": body({"type": "object"}),
                "responses": answers("201", "400", "404"),
            },
        },
    },
}  # fmt: skip  # a table of paths


@pytest.mark.parametrize(
    ("path", "method"),
    [(path, method) for path, rows in DESCRIPTION["paths"].items() for method in rows],
)
def test_every_invented_request_is_answered_as_described(
    path: str, method: str, tmp_path: Path
) -> None:
    parts = make_fake_parts(tmp_path)
    _, viewer = sign_in(parts, OURS, Role.MANAGER)
    token = parts.accounts.new_token(viewer, "described", [Role.MANAGER], days=1)
    schema = schemathesis.openapi.from_dict(DESCRIPTION)
    schema.app = make_portal(parts)
    operation = schema[path][method.upper()]
    known = {int(status) for status in DESCRIPTION["paths"][path][method]["responses"]}

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy())
    def ask(case: Any) -> None:
        answer = case.call(
            headers={"authorization": f"Bearer {token}", "accept": "application/json"}
        )
        case.validate_response(answer, checks=[not_a_server_error])
        assert answer.status_code in known | {404, 405, 422}, answer.text

    ask()
