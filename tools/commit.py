"""`commit_location`: the only way a driver ends a run, and it must name its evidence."""

from typing import Annotated

from langchain_core.tools import BaseTool, StructuredTool
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from geo.written_pairs import NULL_ISLAND
from tools.evidence import Rejection, ToolError, ToolOutcome, ToolReply
from tools.opinion import opinion

EvidenceId = Annotated[str, Field(pattern=r"^e[0-9a-f]{10}$")]


class CommitArguments(BaseModel):
    """Arguments of `commit_location`."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    evidence_ids: list[EvidenceId] = Field(
        description="Ids of the evidence the answer rests on: e and ten hexadecimal digits each.",
        max_length=50,
    )
    reason: str = Field(
        description="One or two sentences: why this evidence leads here.", max_length=2000
    )
    undetermined: bool = Field(
        default=False, description="True if the evidence does not say where the photo was taken."
    )
    latitude: float | None = Field(
        default=None,
        ge=-90,
        le=90,
        description="Degrees north. Leave out to commit to what the evidence says.",
    )
    longitude: float | None = Field(
        default=None, ge=-180, le=180, description="Degrees east; goes with latitude."
    )
    radius_km: float | None = Field(
        default=None, gt=0, le=20015, description="Distance that holds the truth half of the time."
    )


def make_commit_location() -> BaseTool:
    """Make the tool that ends a run."""
    return StructuredTool.from_function(
        commit_location,
        name="commit_location",
        description=(
            "End the run. Name the evidence the answer rests on. Give a coordinate only if you "
            "know better than the evidence; set undetermined if the evidence does not tell."
        ),
        args_schema=CommitArguments,
        response_format="content_and_artifact",
    )


def commit_location(
    evidence_ids: list[str],
    reason: str,
    undetermined: bool = False,
    latitude: float | None = None,
    longitude: float | None = None,
    radius_km: float | None = None,
) -> ToolReply:
    """Check a commit and turn a coordinate the driver names into evidence like any other.

    0, 0 is no coordinate: it is dropped with its reason, and the commit stands on its evidence.

    Raises:
        ToolError: half a coordinate, a coordinate with `undetermined`, or no evidence named.
    """
    if (latitude is None) != (longitude is None):
        raise ToolError("give both latitude and longitude, or leave out both")
    if undetermined and latitude is not None:
        raise ToolError("undetermined is true but a coordinate is given; drop one of the two")
    if not undetermined and not evidence_ids:
        raise ToolError("evidence_ids is empty; name at least one, or set undetermined to true")
    data: dict[str, JsonValue] = {
        "evidence_ids": list(evidence_ids),
        "reason": reason,
        "undetermined": undetermined,
    }
    if latitude is None or longitude is None:
        return "Committed to the evidence.", ToolOutcome(data=data)
    if latitude == 0 and longitude == 0:
        dropped = Rejection(value="0, 0", reason=NULL_ISLAND)
        text = f"Committed to the evidence; the coordinate is dropped: {NULL_ISLAND}."
        return text, ToolOutcome(rejected=(dropped,), data=data)
    named = opinion(
        "commit_location",
        f"The driver names {latitude:.4f}, {longitude:.4f}: {reason}",
        latitude,
        longitude,
        radius_km=radius_km,
        label="named by the driver",
    )
    return f"Committed near {latitude:.4f}, {longitude:.4f}.", ToolOutcome(
        evidence=(named,), data=data
    )
