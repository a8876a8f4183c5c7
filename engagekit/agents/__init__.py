"""A way in for assistants: a local server of the Model Context Protocol, what it may read, and how names leave it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engagekit.agents.folder import definition_inside, inside, started_on, without
from engagekit.agents.names import LONGEST, inert, short_quotes, shortened, texts_in
from engagekit.errors import ParameterError, listing, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = [
    "LONGEST",
    "Reply",
    "Tool",
    "definition_inside",
    "inert",
    "inside",
    "refuse_arguments",
    "serve",
    "short_quotes",
    "shortened",
    "started_on",
    "texts_in",
    "without",
]

KINDS: dict[str, tuple[type, ...]] = {"string": (str,), "number": (int, float)}


@dataclass(frozen=True)
class Tool:
    """What an assistant may ask: `takes` says of each argument what it means, `numbers` which are no text."""

    name: str
    does: str
    takes: Mapping[str, str]
    needs: tuple[str, ...] = ("events",)
    numbers: tuple[str, ...] = ()

    def kind(self, argument: str) -> str:
        """Say what an argument is, in JSON's words."""
        return "number" if argument in self.numbers else "string"

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the arguments."""
        told = {
            name: {"type": self.kind(name), "description": what}
            for name, what in self.takes.items()
        }
        return {
            "type": "object",
            "properties": told,
            "required": list(self.needs),
            "additionalProperties": False,
        }


@dataclass(frozen=True)
class Reply:
    """What an assistant is told; `refused` if it is why not."""

    text: str
    refused: bool = False


def refuse_arguments(tool: Tool, given: Mapping[str, Any]) -> None:
    """Refuse arguments that a tool does not take, or not so.

    Raises
    ------
    ParameterError
        With every fault found.
    """
    faults = [
        f"{shortened(name)!r} is no argument of {tool.name}; it takes {listing(tool.takes)}.{nearest(shortened(name), tool.takes)}"
        for name in given
        if name not in tool.takes
    ]
    faults += [f"{name} is missing: {tool.takes[name]}" for name in tool.needs if not given.get(name)]  # fmt: skip
    faults += [
        f"{name} is a {type(value).__name__}; it takes a {tool.kind(name)}."
        for name, value in given.items()
        if name in tool.takes
        and (not isinstance(value, KINDS[tool.kind(name)]) or isinstance(value, bool))
    ]
    if faults:
        raise ParameterError.from_faults(f"{tool.name} cannot be asked this way", faults)


def serve(
    tools: Sequence[Tool],
    answer: Callable[[str, Mapping[str, Any]], Reply],
    *,
    version: str,
    instructions: str,
) -> None:
    """Serve tools over standard input and output until the client hangs up; one call at a time.

    Raises
    ------
    ParameterError
        The official SDK is not installed.
    """
    try:
        import anyio
        import anyio.to_thread
        import mcp_types as types
        from mcp.server.lowlevel import Server
        from mcp.server.stdio import stdio_server
    except ImportError:
        raise ParameterError(
            "The SDK of the Model Context Protocol is not installed; install it with: pip install 'engagekit[mcp]'"
        ) from None

    listed = types.ListToolsResult(
        tools=[
            types.Tool(
                name=tool.name,
                description=tool.does,
                input_schema=tool.schema(),
                annotations=types.ToolAnnotations(
                    read_only_hint=True, destructive_hint=False, open_world_hint=False
                ),
            )
            for tool in tools
        ]
    )
    one_at_a_time = anyio.Semaphore(1)

    async def on_list_tools(_context: Any, _params: Any) -> types.ListToolsResult:
        return listed

    async def on_call_tool(_context: Any, params: Any) -> types.CallToolResult:
        async with one_at_a_time:
            reply = await anyio.to_thread.run_sync(answer, params.name, params.arguments or {})
        told = types.TextContent(type="text", text=reply.text)
        return types.CallToolResult(content=[told], is_error=reply.refused)

    server: Any = Server(
        "engagekit",
        version=version,
        instructions=instructions,
        on_list_tools=on_list_tools,
        on_call_tool=on_call_tool,
    )

    async def run() -> None:
        async with stdio_server() as (incoming, outgoing):
            await server.run(incoming, outgoing, server.create_initialization_options())

    anyio.run(run)
