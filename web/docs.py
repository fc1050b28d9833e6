"""What the OpenAPI document says beyond the routes themselves."""

from typing import Any

from pydantic import BaseModel


class ProblemDocument(BaseModel):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[dict[str, Any]]


def _problem(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {"application/problem+json": {"schema": ProblemDocument.model_json_schema()}},
    }


PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: _problem("The request cannot be read"),
    401: _problem("Not signed in"),
    403: _problem("This person may not"),
    404: _problem("Not there, or not for this person"),
    405: _problem("The path knows other methods"),
    409: _problem("The state forbids it; `allowed` names what is possible"),
    412: _problem("Changed meanwhile; `case` is the present one"),
    413: _problem("Too large"),
    415: _problem("A type of file that is not taken"),
    422: _problem("Malformed or impossible input"),
    429: _problem("Above the rate; see Retry-After"),
    503: _problem("Temporarily unavailable"),
}


def answers(shape: Any, status: int = 200, description: str = "Done") -> dict[int | str, dict[str, Any]]:
    """`responses=` of a route that answers with `shape`; the route makes the answer itself (`response_model=None`)."""
    return {status: {"model": shape, "description": description}}


def json_body(shape: type[BaseModel]) -> dict[str, Any]:
    """The JSON form of a body."""
    return {"application/json": {"schema": inlined(shape.model_json_schema())}}


def multipart_body(shape: type[BaseModel], files: str) -> dict[str, Any]:
    """The multipart form of a body: simple members as fields, nested ones as JSON text, files repeated."""
    schema = inlined(shape.model_json_schema())
    properties = {
        name: {"type": "string", "contentMediaType": "application/json"}
        if "$ref" in str(member)
        or member.get("type") == "object"
        or ("anyOf" in member and "properties" in str(member))
        else member
        for name, member in schema["properties"].items()
        if name != files
    }
    properties[files] = {"type": "array", "items": {"type": "string", "format": "binary"}}
    return {
        "multipart/form-data": {
            "schema": {"type": "object", "properties": properties, "required": schema.get("required", [])}
        }
    }


def header(name: str, description: str, longest: int, pattern: str | None = None) -> dict[str, Any]:
    """A header that a route reads by itself."""
    schema = {"type": "string", "minLength": 1, "maxLength": longest}
    if pattern is not None:
        schema["pattern"] = f"^{pattern}$"
    return {"name": name, "in": "header", "required": False, "description": description, "schema": schema}


def inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """A JSON schema without references, so that it stands by itself in the document."""
    definitions = schema.pop("$defs", {})

    def resolve(node: Any) -> Any:
        if isinstance(node, dict):
            if "$ref" in node:
                return resolve(definitions[node["$ref"].rpartition("/")[2]])
            return {key: resolve(value) for key, value in node.items()}
        return [resolve(item) for item in node] if isinstance(node, list) else node

    resolved: dict[str, Any] = resolve(schema)
    return resolved
