"""OpenAI's chat completions: the bytes of a question in, a `Request` out. The bytes of its answers are made in `openai_answer`.

The rule: whatever real clients send is taken (contents as parts, null, "" or absent; roles in any order), what has another type than the
protocol says is refused by its path, what is understood but not built is refused as such, and what is not used is named in `ignored`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields

from pydantic import TypeAdapter

from fusiond.chat import Format, FunctionCall, ImagePart, JsonObject, Message, Part, Request, Role, Sampling, TextPart, Tool, ToolChoice
from fusiond.errors import BadRequest, NotSupported
from fusiond.keys.schema import fault
from fusiond.wire.body import finite, read_object, required, typed, wrong
from fusiond.wire.openai_body import AssistantCall, ChatBody, ChatMessage, Choice, ContentPart, ImageUrl, OfferedTool, ResponseFormat
from fusiond.wire.openai_overrides import FUSION_TOOL, ignored, limits, overrides
from fusiond.wire.openai_unused import unused

_BODY = TypeAdapter(ChatBody)
_USED = frozenset(field.name for field in fields(ChatBody))
_ROLES: Mapping[str, Role] = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool"}
_IMAGE_URL = re.compile(r"https?://|data:[^,]{0,100};base64,", re.IGNORECASE)


def decode(body: bytes, request_id: str) -> Request:
    """The request that a body of `/v1/chat/completions` makes.

    Raises BadRequest with the path of the field that is wrong (none where the body is no JSON object), and NotSupported where it is understood
    but not built.
    """
    raw = read_object(body)
    chat = typed(_BODY, raw)
    _refuse_unbuilt(chat)
    offered = chat.tools or ()
    tools = tuple(_tool(f"tools[{index}]", tool) for index, tool in enumerate(offered) if tool.type != FUSION_TOOL)
    to_fuse = len(tools) < len(offered) and not tools  # to require a tool is then to require the fusion
    return Request(
        id=request_id,
        model=chat.model,
        messages=_messages(chat.messages),
        sampling=_sampling(chat),
        tools=tools,
        tool_choice=_tool_choice(chat.tool_choice, tools) if chat.tool_choice and not to_fuse else None,
        parallel_tool_calls=chat.parallel_tool_calls,
        format=_format(chat.response_format) if chat.response_format else None,
        stream=bool(chat.stream),
        include_usage=bool(chat.stream_options and chat.stream_options.include_usage),
        overrides=overrides(chat, raw),
        limits=limits(chat),
        ignored=(*(name for name, value in raw.items() if value is not None and name not in _USED), *ignored(raw), *unused(raw)),
    )


def model_of(body: bytes) -> str:
    """The model that a body names, although it is no request otherwise; nothing where it names none."""
    try:
        model = read_object(body).get("model")
    except BadRequest:
        return ""
    return model if isinstance(model, str) else ""


def _refuse_unbuilt(chat: ChatBody) -> None:
    asked = {
        "n": (chat.n or 1) > 1 and "more than one choice is not supported yet: ask once for each",
        "logprobs": chat.logprobs and "token probabilities are not supported yet",
        "modalities": "audio" in (chat.modalities or ()) and "answers in audio are not supported",
        "audio": chat.audio and "answers in audio are not supported",
        "functions": chat.functions and "the old form is not supported: use tools",
        "function_call": chat.function_call and "the old form is not supported: use tool_choice",
    }
    for name, why in asked.items():
        if why:
            raise _unsupported(name, why)


def _sampling(chat: ChatBody) -> Sampling:
    return Sampling(
        temperature=chat.temperature,
        top_p=chat.top_p,
        top_k=chat.top_k,
        min_p=chat.min_p,
        max_tokens=chat.max_tokens if chat.max_completion_tokens is None else chat.max_completion_tokens,
        stop=tuple(stop for stop in chat.stop or () if stop),  # "" is how some clients say none; taken at its word it would end every answer at once
        seed=chat.seed,
        frequency_penalty=chat.frequency_penalty,
        presence_penalty=chat.presence_penalty,
        reasoning_effort=chat.reasoning_effort,
    )


def _messages(messages: tuple[ChatMessage, ...]) -> tuple[Message, ...]:
    if not messages:
        raise wrong("messages", "must not be empty")
    return tuple(_message(f"messages[{index}]", message) for index, message in enumerate(messages))


def _message(path: str, message: ChatMessage) -> Message:
    role = _role(path, message)
    parts = tuple(_part(f"{path}.content[{index}]", part) for index, part in enumerate(message.content or ()))
    match role:
        case "tool":
            return Message(role=role, parts=parts, call_id=required(f"{path}.tool_call_id", message.tool_call_id), name=message.name)
        case "assistant":
            calls = tuple(_call(f"{path}.tool_calls[{index}]", call) for index, call in enumerate(message.tool_calls or ()))
            return Message(role=role, parts=parts, tool_calls=calls)
    return Message(role=role, parts=parts)


def _role(path: str, message: ChatMessage) -> Role:
    if message.role == "function":
        raise _unsupported(f"{path}.role", "the old form of tool results is not supported: use the role tool")
    if message.function_call:
        raise _unsupported(f"{path}.function_call", "the old form of tool calls is not supported: use tool_calls")
    if message.audio:
        raise _unsupported(f"{path}.audio", "audio is not supported")
    if message.role not in _ROLES:
        raise wrong(f"{path}.role", f"must be one of {', '.join(_ROLES)}")
    return _ROLES[message.role]


def _part(path: str, part: ContentPart) -> Part:
    match part.type:
        case "text":
            return TextPart(text=required(f"{path}.text", part.text))
        case "refusal":
            return TextPart(text=required(f"{path}.refusal", part.refusal))
        case "image_url":
            return _image(f"{path}.image_url", required(f"{path}.image_url", part.image_url))
        case "input_audio" | "file" | "video_url":
            raise _unsupported(f"{path}.type", f"parts of the type {part.type} are not supported")
    raise wrong(f"{path}.type", "must be one of text, image_url")


def _image(path: str, image: ImageUrl) -> ImagePart:
    if not _IMAGE_URL.match(image.url):
        raise wrong(f"{path}.url", "must be an https URL, or a data URL in base64 (data:image/png;base64,...)")
    return ImagePart(url=image.url, detail=image.detail)


def _call(path: str, call: AssistantCall) -> FunctionCall:
    if call.type not in (None, "function"):
        raise _unsupported(f"{path}.type", "only tool calls of the type function are supported")
    function = call.function
    return FunctionCall(id=call.id or "", name=function.name, arguments="{}" if function.arguments is None else function.arguments)


def _tool(path: str, tool: OfferedTool) -> Tool:
    if tool.type not in (None, "function"):
        raise _unsupported(f"{path}.type", "only tools of the type function are supported")
    function = required(f"{path}.function", tool.function)
    return Tool(
        name=function.name,
        description=function.description,
        parameters=finite(f"{path}.function.parameters", function.parameters),
        strict=function.strict,
    )


def _tool_choice(choice: Choice, tools: tuple[Tool, ...]) -> ToolChoice:
    match choice.type:
        case "none" | "auto":
            return ToolChoice(mode=choice.type)
        case "required":
            if not tools:
                raise wrong("tool_choice", "needs tools to choose from")
            return ToolChoice(mode="required")
        case "function" | None:
            name = required("tool_choice.function", choice.function).name
            if all(tool.name != name for tool in tools):
                raise wrong("tool_choice.function.name", "must be the name of one of the tools")
            return ToolChoice(mode="required", name=name)
        case "allowed_tools" | "custom":
            raise _unsupported("tool_choice", f"the type {choice.type} is not supported")
    raise wrong("tool_choice", "must be one of none, auto, required, or an object that names a function")


def _format(wanted: ResponseFormat) -> Format | None:
    match wanted.type:
        case "text":
            return None
        case "json_object" if wanted.schema is None:
            return Format(kind="json_object")
        case "json_object":
            return Format(kind="json_schema", schema=_schema("response_format.schema", wanted.schema))
        case "json_schema":
            named = required("response_format.json_schema", wanted.json_schema)
            schema = _schema("response_format.json_schema.schema", named.schema)
            return Format(kind="json_schema", schema=schema, name=named.name or "answer", strict=named.strict)
    raise wrong("response_format.type", "must be one of text, json_object, json_schema")


def _schema(path: str, schema: JsonObject | None) -> JsonObject | None:
    """A schema that answers can be held against."""
    if schema is None:
        return None
    if reason := fault(finite(path, schema)):
        raise wrong(path, reason)
    return schema


def _unsupported(path: str, why: str) -> NotSupported:
    return NotSupported(f"{path}: {why}", param=path)
