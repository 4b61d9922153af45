"""Whether the environment asks for traces, by the standard variables of OpenTelemetry. Does not load OpenTelemetry."""

from __future__ import annotations

from collections.abc import Mapping

from pcloud.errors import Rejected

__all__ = ["traces_wanted"]

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


def traces_wanted(variables: Mapping[str, str]) -> bool:
    """Return True if an endpoint is named and nothing switches traces off. Raises `Rejected` for an unsupported exporter or
    protocol, which would otherwise be noticed only when traces are missing."""
    if variables.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = variables.get("OTEL_TRACES_EXPORTER", "").strip()
    if exporter == "none" or not (exporter or any(variables.get(name) for name in ENDPOINTS)):
        return False
    if exporter not in ("", "otlp"):
        raise Rejected(f"OTEL_TRACES_EXPORTER is {exporter!r}: PCloud sends traces only by otlp")
    protocol = next((variables[name] for name in PROTOCOLS if variables.get(name)), "http/protobuf")
    if protocol != "http/protobuf":
        raise Rejected(f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol!r}: PCloud sends traces only by http/protobuf")
    return True
