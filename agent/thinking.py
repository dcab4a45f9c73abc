"""What a model says apart from what it thinks aloud, whatever tags its server leaves in."""

import re

_THINKING = re.compile(r"<(/?)(think|thinking|thought|reasoning)>", re.IGNORECASE)


def split_thinking(text: str) -> tuple[str, str]:
    """Return a reply without its `<think>` blocks, and what stands in them.

    Chat templates may open the block themselves, so that only its end is in the reply. A block
    without an end goes on to the first `<tool_call>`, or to the end. A reply without any such tag
    is as it was; else what is returned begins and ends without spaces.
    """
    if _THINKING.search(text) is None:
        return text, ""
    said, thought = list[str](), list[str]()
    at, inside = 0, False
    for match in _THINKING.finditer(text):
        closing = bool(match[1])
        if closing and not inside and not thought:  # all so far was thought
            thought, said = ["".join(said) + text[at : match.start()]], []
        elif closing == inside:
            (thought if inside else said).append(text[at : match.start()])
        else:  # a tag inside of a block, or an end without a beginning: text
            (thought if inside else said).append(text[at : match.end()])
            at = match.end()
            continue
        at, inside = match.end(), not closing
    rest = text[at:]
    if inside and (call := rest.find("<tool_call>")) >= 0:
        thought.append(rest[:call])
        said.append(rest[call:])
    else:
        (thought if inside else said).append(rest)
    return "".join(said).strip(), "\n".join(part.strip() for part in thought).strip()
