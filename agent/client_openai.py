"""LangChain's chat model for the OpenAI protocol, with our reading of what comes back.

Imported only where such a model is opened: the client library takes half a second to import.
"""

from collections.abc import Iterator
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk
from langchain_openai import ChatOpenAI

from agent.client_wire import read_reply


class OpenAIChat(ChatOpenAI):
    """Asks `/chat/completions` and nothing else, whatever the model is called."""

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        """Yield the chunks of one reply; an argument of None is not sent at all.

        Args:
            messages: the conversation.
            stop: texts that end the reply.
            run_manager: told about every chunk.
            kwargs: `whole=True` asks for a reply in one piece, `old_limit=False` names the limit
                of tokens as OpenAI's newest models want it; the rest goes into the request.
        """
        whole, old_limit = kwargs.pop("whole", False), kwargs.pop("old_limit", True)
        payload = self._get_request_payload(messages, stop=stop, **kwargs)
        payload = {key: value for key, value in payload.items() if value is not None}
        payload["stream"] = not whole
        if whole:
            payload.pop("stream_options", None)
        if old_limit and "max_completion_tokens" in payload:
            payload["max_tokens"] = payload.pop("max_completion_tokens")
        with self.client.with_streaming_response.create(**payload) as answer:
            for message in read_reply(answer.iter_bytes()):
                chunk = ChatGenerationChunk(message=message)
                if run_manager:
                    run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                yield chunk
