"""The model card: what the model is, what it learnt from, how well it does, and its limits."""

from collections.abc import Mapping
from typing import Any, Final

from noctis.stages import LABELS
from registry.manifest import Manifest

__all__ = ["write_card"]

_UNATTRIBUTED: Final = "## Data\n\nThe trainer named no origin of the nights."
_LIMITS: Final = """\
## Limits

- **No radar data.** The nights are of wrist-worn watches: heart rate about every 5 s, and wrist
  motion. They were played through the firmware as radar frames and accelerometer samples, so
  the numbers are of the kind that a device sends, but no radar ever saw these sleepers. No
  accuracy is claimed for a radar.
- **No breathing.** Where no night of the training data has a breathing signal, the model does
  not look at breathing, whatever the device sends.
- **Motion** is set against the sleeper's own high of the session; a mattress moves less than a
  wrist. A device without an accelerometer gets stages too: nights were learnt without motion as
  well.
- **Who**: few sleepers, without known sleep disorders where the data's authors say so. Expect
  less with apnoea, arrhythmia, beta blockers, a pacemaker, children, or two in the bed.
- {sight}
- Light is N1 and N2 together; deep is N3. This is no medical device.
"""

_CAUSAL: Final = """\
**Causal**: a stage rests on the past alone, and on at most the last 8 hours. The first
  minutes of a session are the least certain."""
_WHOLE: Final = """\
**Not for live stages**: it looks both ways and needs the whole night. It makes the revised
  hypnogram of a night that is over."""

_KINDS: Final = {
    "trees": "Gradient-boosted trees",
    "net": "Causal nets",
    "blend": "Gradient-boosted trees and causal nets",
    "night": "Nets that look both ways",
}


def write_card(
    manifest: Manifest,
    artefact_bytes: int,
    attribution: str,
    report: Mapping[str, Any] | None = None,
) -> str:
    """Return a model's card as Markdown; ``attribution``: Markdown on the data's origin.

    ``report``: see ``training.report.report_of``.
    """
    figures = manifest.figures
    low, high = figures.kappa_interval
    f1_low, f1_high = figures.macro_f1_interval
    is_whole = manifest.architecture == "night"
    reads = "tracks of the whole night" if is_whole else "causal features of the session so far"
    stages = " · ".join(f"{label} {figures.stage_f1[label]:.2f}" for label in LABELS)
    return f"""\
# {manifest.full_name}

Four sleep stages (wake, light, deep, REM) for each 30 s epoch, from heart rate and motion.
{_KINDS[manifest.architecture]}, {artefact_bytes / 1e6:.2f} MB of ONNX, {len(manifest.features)}
{reads}.

## Figures

Cross-validated by subject: each of {len(figures.subjects)} sleepers was staged by a model that
never saw a night of theirs. {figures.epochs} scored epochs; 95 % intervals by bootstrap over
subjects.

| | | 95 % |
|---|---|---|
| Cohen's kappa | **{figures.kappa:.3f}** | {low:.3f} to {high:.3f} |
| macro-F1 | {figures.macro_f1:.3f} | {f1_low:.3f} to {f1_high:.3f} |
| accuracy | {figures.accuracy:.3f} | |

F1 by stage: {stages}. The model was then fitted on all nights.

{_conditions(report, is_chosen=not is_whole)}{attribution.strip() or _UNATTRIBUTED}

{_LIMITS.format(sight=_WHOLE if is_whole else _CAUSAL)}
## Repeat it

    noctis model train --data DIR --architecture {manifest.architecture} --seed {manifest.seed}

The nights' names and the sha256 of their files are in `manifest.json`, and so are the seed,
the parameters and the libraries' versions.
"""


def _conditions(report: Mapping[str, Any] | None, *, is_chosen: bool) -> str:
    """Return a table of the figures under each condition, and what the calibration did."""
    if report is None:
        return ""
    lines = [
        f"| {name} | {it['kappa']:.3f} | {it['kappa_interval'][0]:.3f} to "
        f"{it['kappa_interval'][1]:.3f} | {it['macro_f1']:.3f} |"
        for name, it in {**report["parts"], **report["conditions"]}.items()
    ]
    chosen = (
        "The\ntemperature and, in a blend, how much each part counts were chosen inside each "
        "fold; the power\nof the lift of rare stages was given."
        if is_chosen
        else "No part,\nlift or temperature was chosen by figures."
    )
    before, after = report["calibration"]["before"], report["calibration"]["after"]
    return f"""\
| | kappa | 95 % | macro-F1 |
|---|---|---|---|
{chr(10).join(lines)}

Expected calibration error {before:.3f}, after the temperature {after:.3f}. {chosen} Each
subject's figures: `report.json`.

"""
