"""A short way for the requests that come in crowds."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send


class Shortcut:
    """Hands requests for some routes to their endpoints as they came, and sends what those answer.

    What the framework does between the two, for dependencies and parameters such a route has none of, costs more than
    the checks of a report. Errors are answered as everywhere; paths and methods that do not fit go the long way.
    """

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute], handlers: Mapping[Any, Any]) -> None:
        """`routes`: those that take a request and give a response, and nothing else."""
        self._app = app
        self._handlers = handlers
        self._routes = {
            (method, route.path): route
            for route in routes
            if isinstance(route, APIRoute)
            for method in route.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        route = self._routes.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if route is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = route
        try:
            response = await route.endpoint(Request(scope, receive))
        except Exception as error:
            answering = ExceptionMiddleware(partial(_fail, error), self._handlers)
            await answering(scope, receive, send)
            return
        await response(scope, receive, send)


async def _fail(error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
    raise error
