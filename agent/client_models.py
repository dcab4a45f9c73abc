"""Opening the chat model that the settings name, as a LangChain object."""

from typing import Any

from langchain_core.language_models import BaseChatModel

from agent.client_errors import redact
from agent.model_list import check_address
from agent.model_settings import ModelSettings
from geo.errors import ConfigError, UnavailableError


def openai_model(settings: ModelSettings) -> BaseChatModel:
    """Return the model behind an OpenAI-compatible server.

    Raises:
        ConfigError: the address is none, or OpenAI's own is meant and no key is given.
    """
    from agent.client_openai import OpenAIChat

    if settings.url:
        check_address(settings)
    key = settings.api_key.get_secret_value()
    more: dict[str, Any] = {"base_url": settings.url} if settings.url else {}
    if key or settings.url:
        # Never left out for a server of one's own: the library would send it the key for OpenAI
        # that the environment may hold.
        more["api_key"] = key or "none"
    try:
        return OpenAIChat(
            model=settings.name,
            temperature=settings.temperature,
            seed=settings.seed,
            max_retries=0,  # ours alone, so that the trace knows of them
            use_responses_api=False,
            **more,
        )
    except Exception as error:
        raise ConfigError(
            f"model {settings.name!r:.100} cannot be opened ({redact(str(error), key)}); set "
            "GRATICULE_MODEL__API_KEY, or GRATICULE_MODEL__URL for a server of your own"
        ) from None


def provider_model(settings: ModelSettings) -> BaseChatModel:
    """Return a model of one of LangChain's other providers.

    Raises:
        ConfigError: the provider is unknown, or refuses the name or the key.
        UnavailableError: a package that it needs is missing.
    """
    try:
        from langchain.chat_models import init_chat_model
    except ImportError:
        raise UnavailableError(
            f"provider {settings.provider!r:.60} needs a package that is missing; "
            "pip install 'graticule[providers]'"
        ) from None
    key = settings.api_key.get_secret_value()
    more: dict[str, Any] = {"base_url": settings.url} if settings.url else {}
    if key:
        more["api_key"] = key
    try:
        model: BaseChatModel = init_chat_model(
            settings.name, model_provider=settings.provider, **more
        )
    except ImportError as error:
        raise UnavailableError(
            f"provider {settings.provider!r:.60}: {redact(str(error), key)}"
        ) from None
    except Exception as error:
        raise ConfigError(
            f"model {settings.name!r:.100} of provider {settings.provider!r:.60} cannot be opened "
            f"({redact(str(error), key)}); check GRATICULE_MODEL__PROVIDER and "
            "GRATICULE_MODEL__API_KEY"
        ) from None
    has_retries = "max_retries" in type(model).model_fields
    return model.model_copy(update={"max_retries": 0}) if has_retries else model
