"""Photos or coordinates into a gallery: each once, resumable at any moment, nothing silently lost.

A reader, decoders, encoders and the writer work at the same time, chunk after chunk, each a little
ahead of the next: memory stays the same whatever the source's size. What is done is known from
the store and the files themselves. The same source gives the same gallery, bit for bit, however
often its build was killed: a record is always encoded beside the same others.
"""

import os
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from encoders import load_encoder
from encoders.base import AlignedEncoder, Encoder
from geo.errors import InputError
from index_builder.build_report import BuildReport, Clock, OnProgress, Progress, Rejects, Unused
from index_builder.build_target import check_settings, check_target, locked, new_manifest, opened
from index_builder.codebook import fitted_encoder
from index_builder.encoding import (
    CHUNK,
    ChunkEncoder,
    Encoded,
    Prepared,
    compute_alone,
    encode_threads,
    stated,
    write_files,
)
from index_builder.files import check_space
from index_builder.flow import ahead, in_order
from index_builder.gallery import Gallery, GalleryPhoto, load_codebook_encoder, photo_of
from index_builder.manifest import Kind, Manifest, StoreSettings
from index_builder.points import IndexSettings, Vector
from index_builder.records import Record, Rejected, Source, nothing_usable
from index_builder.sampling import SampledSource, SamplePerCell, under_name
from index_builder.settling import MetIds, verdict

__all__ = ["BuildReport", "Progress", "build_gallery"]
