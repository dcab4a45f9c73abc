"""Names of tools and of states, as the page says them."""

from agent.answer import Answer
from agent.disclosure import disclosure_of
from agent.statements import FOLLOW_UP

STATUS = {
    "new": "not begun",
    "busy": "working",
    "idle": "answered",
    "waiting": "asks you",
    "stopped": "stopped",
    "error": "failed",
}
_TOOLS = {
    FOLLOW_UP: "What you said",
    "prior": "First impression",
    "diversify": "Short answers",
    "ask_analyst": "Question to you",
    "commit_location": "Commit",
    "use_hint": "Use the hint",
    "look_up_clue": "Look up clues",
    "verify": "Verify by alignment",
}


def tool_words(tool: str) -> str:
    """Return a tool's name in words."""
    return _TOOLS.get(tool) or tool.replace("_", " ").capitalize()


def no_answer_words(status: str) -> str:
    """Return what to say of a session without an answer."""
    told = {"busy": "Looking …", "waiting": "Waits for your answer",
            "stopped": "Stopped, no answer", "error": "It failed before an answer"}  # fmt: skip
    return told.get(status, "No answer yet")


def withheld_words(answer: Answer | None) -> str:
    """Return why there is nothing to show where places are told coarser; empty otherwise."""
    if answer is None or disclosure_of(answer) == "exact":
        return ""
    return " ".join(answer.missing)
