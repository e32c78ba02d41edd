"""Reads OTLP/JSON bodies with OpenTelemetry's own messages.

  check_otlp.py FILE

FILE has one body of POST /v1/traces a line. Unknown fields, wrong types and ids of a wrong length are errors. Prints the names of
the spans, one a line.
"""

import base64
import json
import sys

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

# OTLP writes these in hexadecimal, where protobuf's own mapping has base64.
LENGTHS = {"traceId": 16, "spanId": 8, "parentSpanId": 8}


def with_base64_ids(value):
    if isinstance(value, list):
        return [with_base64_ids(one) for one in value]
    if not isinstance(value, dict):
        return value
    result = {}
    for key, inner in value.items():
        if key in LENGTHS:
            octets = bytes.fromhex(inner)
            assert len(octets) == LENGTHS[key] and any(octets), (key, inner)
            result[key] = base64.b64encode(octets).decode()
        else:
            result[key] = with_base64_ids(inner)
    return result


with open(sys.argv[1], encoding="utf-8") as file:
    for line in file:
        request = json_format.ParseDict(with_base64_ids(json.loads(line)), ExportTraceServiceRequest())
        for resource in request.resource_spans:
            assert any(one.key == "service.name" for one in resource.resource.attributes)
            for scope in resource.scope_spans:
                for span in scope.spans:
                    assert 0 < span.start_time_unix_nano <= span.end_time_unix_nano, span
                    print(span.name)
