"""Attribution maps by gradient: which pixels support a class score or the activation of one unit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from auditor import methods
from auditor.check import Check, Count, Share, Steps
from auditor.checks.saliency import findings
from auditor.checks.saliency.attributions import explained
from auditor.checks.saliency.figures import maps_of, rows, unit_row
from auditor.config.options import Range
from auditor.context import tensors
from auditor.errors import UsageError
from auditor.results import Arrays, Finding, Gallery
from auditor.unit import Unit

if TYPE_CHECKING:
    from auditor.context import Context
    from auditor.methods import Activations, Location

Correlation = Annotated[float, Range(-1, 1)]


@Check
def saliency(
    context: Context,
    *,
    units: tuple[str, ...] = (),
    unit_images: Count = 3,
    cam_layer: str = "auto",
    vanishing_warn: Share = 0.1,
    blind_warn: Correlation = 0.95,
    confident: bool = False,
) -> Steps:
    """Which pixels support the prediction?

    A row shows one class of one image by every method. In the gradient, red raises the class's score and blue lowers
    it, summed over the colour channels. The absolute gradient is the largest over the colour channels. Grad-CAM lies
    over the image in grey. Every map has its own colour bar, which ends at the 99.5th percentile of the map (Grad-CAM:
    at its maximum). Compare two rows by these numbers, not by brightness; only the rows with classes side by side
    share a scale. Guided backprop and guided Grad-CAM hardly change when the upper layers are randomised (Adebayo et
    al. 2018). They look sharp on any network, and no finding rests on them.

    Args:
        units: units to explain in addition to the classes, as layer:channel or layer:channel:y:x. Without a position,
            the most active one of each image.
        unit_images: how many of the explained images each unit is shown on, those with the highest activation first.
        cam_layer: the layer of Grad-CAM. auto takes the last maps before the classifier. If a rectifier follows the
            layer directly, its output is used.
        vanishing_warn: share of images with a vanishing gradient above which the audit warns.
        blind_warn: rank correlation of the maps of different classes above which the audit warns.
        confident: require the whole 95 % interval of the share of vanishing gradients to keep its limit.
    Rules:
        saliency.vanishing: images whose gradient is zero, no number or under a millionth of the median, or whose
            answer has a probability of exactly 1; over 10 % of the images a warning (heuristic).
        saliency.nonfinite: images whose gradient is NaN or infinite; any is a failure (exact).
        saliency.blind: the absolute gradients of different classes lie at the same places; a median rank
            correlation over 0.95, of the two classes that are least alike and over the pixels at which either has
            a gradient, is a warning (heuristic).
        saliency.rectifiers: on how many activation functions the rules of deconvnet and guided backprop acted;
            skipped where a network has no ReLU, for which alone they are defined.
        saliency.layer: where Grad-CAM looks; skipped where no layer gives maps.
    Source:
        Gradient: Simonyan, Vedaldi, Zisserman, ICLR workshop 2014. Deconvnet: Zeiler, Fergus, ECCV 2014. Guided
        backprop: Springenberg et al., ICLR workshop 2015. Grad-CAM: Selvaraju et al., ICCV 2017. Limits: Adebayo
        et al., Sanity Checks for Saliency Maps, NeurIPS 2018.
    """
    neurons = [_known(context, unit) for unit in dict.fromkeys(map(Unit.read, units))]
    location, about_layer = _location(context, cam_layer)
    measured: list[findings.Measured] = []
    activations: list[Activations] = []
    for start in range(0, len(context.samples), context.batch_size):
        for one in explained(context, context.samples[start : start + context.batch_size], location):
            activations.append(one.activations)
            measured.append(findings.measured(one))
            yield from rows(context, one)
            yield Arrays(one.arrays)
    for unit in neurons:
        yield from _unit_rows(context, unit, unit_images)
    yield from findings.not_finite(measured)
    yield findings.vanishing(measured, vanishing_warn, confident=confident)
    yield findings.blind(measured, blind_warn, classes=context.network.outputs)
    yield findings.rectifiers(activations[-1])
    yield about_layer


def _known(context: Context, unit: Unit) -> Unit:
    """Return the unit, after a look at the network.

    Raises:
        UsageError: The network has no such unit.
    """
    try:
        methods.locate(context.network, tensors(context, context.samples[:1]), unit)
    except (ValueError, IndexError) as reason:
        raise UsageError(f"saliency.units asks for {unit}: {reason}") from None
    return unit


def _location(context: Context, layer: str) -> tuple[Location | None, Finding]:
    """Return where Grad-CAM is computed, None if no layer gives maps, and a finding about it.

    Raises:
        UsageError: The option names a layer that does not exist or gives no maps.
    """
    image = tensors(context, context.samples[:1])
    try:
        if layer == "auto":
            found = methods.last_maps(context.network, image)
        else:
            found = methods.after_activation(context.network, image, layer)
    except ValueError as reason:
        if layer != "auto":
            raise UsageError(f"saliency.cam_layer is {layer!r}: {reason}") from None
        return None, findings.no_layer(reason)
    return found, findings.layer(found, chosen=layer == "auto")


def _unit_rows(context: Context, unit: Unit, count: int) -> Iterator[Gallery | Arrays]:
    """Show a unit on the images with its highest activations."""
    images = tensors(context, context.samples).split(1)
    positions = [methods.locate(context.network, image, unit) for image in images]
    ranked = sorted(range(len(images)), key=lambda number: -positions[number].values.item())
    for number in ranked[:count]:
        sample = context.samples[number]
        found = methods.explain(context.network, images[number], unit)
        yield unit_row(context, sample, found, positions[number])
        yield Arrays({f"{sample.name}/{unit}/{name}": values for name, values in maps_of(found).items()})
