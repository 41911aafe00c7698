"""docs/openapi.yaml: valid, of one mind with the contract, and true of what the gateway answers."""

import json
import re
from collections import Counter
from typing import Any

import jsonschema_rs
import numpy as np
import pytest
import requests
import schemathesis
import yaml
from hypothesis import HealthCheck, given, seed, settings
from schemathesis import GenerationMode
from mnist_torchserve.contract import BAD_INPUTS, TIMEOUT, BadInput, Deployment
from mnist_torchserve.gateway import Gateway
from mnist_torchserve.project import ROOT
from mnist_torchserve.service import TorchServe

DOCUMENT = ROOT / "docs" / "openapi.yaml"
SCHEMA: Any = schemathesis.openapi.from_path(DOCUMENT)
OPERATIONS = [result.ok() for result in SCHEMA.get_all_operations()]
READS = [operation for operation in OPERATIONS if operation.method == "get"]
PREDICTIONS = [operation for operation in OPERATIONS if operation.method == "post"]
PREDICT = SCHEMA["/predict"]["POST"]
# Which payloads are refused is asked of another oracle below, which knows float32; and that bytes must be 784 or 3,136
# no schema can say.
EXCLUDED = [schemathesis.checks.negative_data_rejection, schemathesis.checks.positive_data_acceptance]

EXAMPLES = 40  # for each route, of valid requests as well as of others


@pytest.fixture(scope="module")
def document() -> Any:
    return yaml.safe_load(DOCUMENT.read_text())


@pytest.fixture(scope="module")
def template() -> str:
    return (ROOT / "deploy" / "gateway" / "envoy.yaml").read_text().replace("MODEL", "mnist")


def test_document_is_valid() -> None:
    SCHEMA.validate()


def _takes(match: Any, path: str, method: str) -> bool:
    """Whether a route's match takes a request, by its method and not as one of any."""
    methods = [header["string_match"]["exact"] for header in match.get("headers", ()) if header["name"] == ":method"]
    regex = match["safe_regex"]["regex"] if "safe_regex" in match else re.escape(match.get("path", ""))
    return methods == [method] and re.fullmatch(regex, path) is not None


def test_documented_routes_are_those_of_the_gateway(document: Any, template: str) -> None:
    manager = yaml.safe_load(template)["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]
    routes = manager["typed_config"]["route_config"]["virtual_hosts"][0]["routes"]
    documented = [(path, method.upper()) for path, item in document["paths"].items() for method in item]
    for path, method in documented:
        assert any(_takes(route["match"], path, method) for route in routes), f"{method} {path} is not routed"
    for route in routes:
        if "grpc" in route["match"]:
            continue  # which OpenAPI does not describe
        if route.get("direct_response", {"status": 200})["status"] == 200:  # others are for what is refused
            assert any(_takes(route["match"], *request) for request in documented), f"{route['name']} is not documented"


def test_documented_media_types_are_read(document: Any, gateway: Gateway) -> None:
    for media_type in document["paths"]["/predict"]["post"]["requestBody"]["content"]:
        assert Deployment.gateway(gateway.url).post(b"?", media_type).status_code in (400, 422)


def test_document_names_every_status_that_the_gateway_words(document: Any, template: str) -> None:
    worded = set(re.findall(r"^ +code: (\d+)$", template, re.MULTILINE))
    assert worded - {"404", "405"} <= set(document["paths"]["/predict"]["post"]["responses"])


@pytest.mark.parametrize("refusal", BAD_INPUTS, ids=str)
def test_contract_and_document_agree(document: Any, gateway: Gateway, refusal: BadInput) -> None:
    answers = document["paths"]["/predict"]["post"]["responses"]
    assert str(refusal.status) in answers
    response = Deployment.gateway(gateway.url).post(refusal.body, refusal.media_type)
    PREDICT.validate_response(response)


@pytest.mark.parametrize("operation", READS, ids=lambda operation: str(operation.path))
def test_answers_are_as_documented(gateway: Gateway, operation: Any) -> None:
    response = requests.get(gateway.url + operation.path, timeout=TIMEOUT)
    assert response.status_code == 200
    operation.validate_response(response)


def is_valid(body: bytes | str | None, schema: Any) -> bool:
    """Whether a body is a payload by the document, each number of it rounded to float32 first."""
    try:
        payload = json.loads(body or b"")
    except ValueError:
        return False
    data = payload.get("data") if isinstance(payload, dict) else None
    if isinstance(data, list) and all(type(value) in (int, float) and abs(value) < 1e38 for value in data):
        payload = {"data": [float(np.float32(value)) for value in data]}
    return jsonschema_rs.is_valid(schema, payload)


@pytest.mark.parametrize("operation", PREDICTIONS, ids=lambda operation: str(operation.path))
@pytest.mark.parametrize("mode", [GenerationMode.NEGATIVE, GenerationMode.POSITIVE], ids=str)
def test_generated_requests_are_answered_as_documented(
    gateway: Gateway, node: TorchServe, document: Any, mode: GenerationMode, operation: Any
) -> None:
    before = set(node.workers())
    statuses: Counter[int] = Counter()

    @seed(1)
    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        response = case.call(base_url=gateway.url, timeout=TIMEOUT)
        case.validate_response(response, excluded_checks=EXCLUDED)
        statuses[response.status_code] += 1
        if operation.path == "/predict" and case.media_type == "application/json":
            valid = is_valid(response.request.body, document["components"]["schemas"]["Image"])
            assert (response.status_code == 200) is valid

    ask()
    assert statuses.total() >= EXAMPLES
    assert 422 in statuses
    assert set(node.workers()) == before
