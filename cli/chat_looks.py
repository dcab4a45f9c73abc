"""Slash commands that show something and change nothing."""

import json

from rich.console import RenderableType
from rich.text import Text

from agent.answer import Answer, Step
from agent.budget import Budget, Spent
from agent.effect_words import effect_words
from agent.report_format import duration, percent, pretty
from agent.session_compare import compare_sessions
from cli.chat_talk import CROP_SIZE, Talk
from cli.run import labelled, reasons
from cli.session_tables import comparison_tables, history_table, sessions_table
from cli.steps import step_row
from cli.terminal_map import legend, map_text, near_frame, world_frame
from encoders.photo_file import printable
from geo.errors import InputError

MOST_DROPPED = 8
MAP_COLUMNS = 96


def evidence(talk: Talk, _: str) -> None:
    """Show the evidence: id, tool, what it says, what it does."""
    state = talk.snapshot().values
    held = state.get("evidence") or ()
    if not held:
        raise InputError("no evidence yet; /resume goes on, or say something")
    answer = talk.sessions.answer(talk.info.id)
    bits = {one.evidence_id: one.bits for one in answer.contributions} if answer else {}
    withdrawn = set(state.get("withdrawn") or ())
    rows = []
    for item in held:
        effect = effect_words(bits[item.id]) if item.id in bits else "not weighed yet"
        if item.id in withdrawn:
            effect = "withdrawn"
        elif not item.weight:
            effect = "shown without effect"
        rows.append((item.id, f"{item.tool}, {effect}: {item.summary}"))
    talk.console.print(labelled(rows))


def steps(talk: Talk, rest: str) -> None:
    """Show the steps, or one of them whole."""
    found: list[Step] = list(talk.snapshot().values.get("steps") or ())
    if rest:
        _step(talk, found, rest)
        return
    for step in found:
        talk.console.print(step_row(step))
    if not found:
        raise InputError("no steps yet; /resume goes on, or say something")


def _step(talk: Talk, found: list[Step], number: str) -> None:
    fitting = [one for one in found if str(one.number) == number]
    if not fitting:
        raise InputError(f"no step {printable(number, 20)!r}; there are {len(found)}, see /steps")
    step = fitting[0]
    told = [("Step", f"{step.number}, {step.tool}, {step.outcome}, revision {step.revision}")]
    told.append(("Called", f"{pretty(step.arguments)}\n{step.call_id}"))
    told.append(("Said", step.text))
    told += [("Evidence", ", ".join(step.evidence_ids))] if step.evidence_ids else []
    told += [("Data", pretty(step.data))] if step.data else []
    talk.console.print(labelled(told))
    for one in step.pictures:
        talk.show_photo(one.photo_id, CROP_SIZE)
        talk.note(printable(one.caption))


def why(talk: Talk, _: str) -> None:
    """Show why it is this answer, and why the other candidates were dropped."""
    answer = talk.answer
    talk.console.print(labelled([*reasons(answer), *_dropped(answer), ("Caution", answer.caution)]))


def _dropped(answer: Answer) -> list[tuple[str, str]]:
    lost = [one for one in answer.verdicts if not one.kept]
    rows = [
        ("Dropped", f"{one.candidate.label or one.candidate.source} ({one.candidate.latitude:.3f}, "
                    f"{one.candidate.longitude:.3f}): {one.reason}")
        for one in lost[:MOST_DROPPED]
    ]  # fmt: skip
    rows += [("Refused", f"{one.value}: {one.reason}") for one in answer.rejected[:MOST_DROPPED]]
    more = len(lost) - MOST_DROPPED
    return [*rows, ("", f"{more} more; /report has all of them")] if more > 0 else rows


def belief(talk: Talk, _: str) -> None:
    """Show where belief lies."""
    from geo.regions import country_name

    answer, table = talk.answer, Text()
    shares = {country_name(code): share for code, share in answer.countries.items()}
    for title, rows in (("Countries", shares), ("First-level areas", answer.admin_shares)):
        if rows:
            table.append(f"{title}\n", "bold")
        for name, share in list(rows.items())[:10]:
            bar = "█" * round(24 * share) or "▏"
            table.append(f"  {percent(share):>7}  ").append(f"{bar:<24}", "cyan")
            table.append(f"  {printable(name, 60)}\n")
    for number, one in enumerate(answer.alternatives, start=1):
        table.append(f"  {number}. {printable(one.label, 60)}, {percent(one.share)} ")
        table.append(f"({one.latitude:.2f}, {one.longitude:.2f})\n", "dim")
    if answer.entropy_bits is not None:
        table.append(f"Spread over 2^{answer.entropy_bits:.1f} km². {answer.caution}", "dim")
    talk.console.print(table)


def map_(talk: Talk, rest: str) -> None:
    """Show the answer on a map."""
    answer, columns = talk.answer, min(talk.console.width - 2, MAP_COLUMNS)
    if rest not in ("", "near", "world"):
        raise InputError(f"map {printable(rest, 20)!r}; write /map, /map near or /map world")
    near = near_frame(answer, min(columns, 64))
    if rest == "near" and near is None:
        raise InputError("the answer has no coordinate to draw a map around; /map world has belief")
    unicode = talk.console.encoding.startswith("utf")
    for frame in ((world_frame(columns), near) if not rest else (near,) if rest == "near"
                  else (world_frame(columns),)):  # fmt: skip
        if frame is not None:
            talk.console.print(map_text(answer, frame, unicode=unicode), crop=False)
    for line in legend(answer):
        talk.note(printable(line, 100))


def history(talk: Talk, _: str) -> None:
    """Show the moments to fork from."""
    talk.console.print(history_table(talk.sessions.history(talk.info.id)))


def compare(talk: Talk, rest: str) -> None:
    """Show this session's answer beside another's."""
    if not rest:
        raise InputError("with which session? Write /compare ID; /sessions lists them")
    other = talk.sessions.find(rest)
    for table in comparison_tables(compare_sessions(talk.sessions, talk.info.id, other.id)):
        talk.console.print(table)


def sessions(talk: Talk, rest: str) -> None:
    """List the sessions."""
    found = talk.sessions.search(rest, limit=30)
    table: RenderableType = sessions_table(found, talk.session_id)
    talk.console.print(table if found else Text("no session fits", "dim"))


def budget(talk: Talk, _: str) -> None:
    """Show what the latest run spent, of what it may spend."""
    state = talk.snapshot().values
    spent: Spent = state.get("spent") or Spent()
    allowed: Budget = talk.sessions.geolocators.get(talk.info.options).budget
    rows = [
        (name.replace("_", " "), f"{getattr(spent, name):,} of {getattr(allowed, name):,}")
        for name in ("steps", "tool_calls", "tokens")
    ]
    rows.append(("time", f"{duration(spent.seconds)} of {duration(allowed.seconds)}"))
    use = state.get("use")
    if use is not None and use.calls:
        rows.append(
            ("model", f"{use.calls} replies, {use.tokens_in:,} + {use.tokens_out:,} tokens")
        )
    talk.console.print(labelled(rows))
    talk.note("Of the latest message; each one has the whole budget.")


def json_(talk: Talk, _: str) -> None:
    """Show the answer as JSON."""
    found = json.loads(talk.answer.model_dump_json())
    talk.console.print(Text(json.dumps(found, indent=2, ensure_ascii=True)), soft_wrap=True)
