"""Attribution maps by gradient: which pixels support a class score or the activation of one unit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from auditor import methods
from auditor.check import Check, Count, Share, Steps
from auditor.checks.saliency import findings, rules
from auditor.checks.saliency.attributions import explained
from auditor.checks.saliency.figures import maps_of, rows, unit_row
from auditor.config.options import Range
from auditor.context import tensors
from auditor.errors import UsageError
from auditor.judging.grounds import ANSWERS, WEIGHTS
from auditor.results import Arrays, Finding, Gallery
from auditor.unit import Unit

if TYPE_CHECKING:
    from auditor.context import Context
    from auditor.methods import Activations, Location

Correlation = Annotated[float, Range(-1, 1)]


@Check.with_rules(*rules.RULES, needs=(WEIGHTS, ANSWERS))
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

    A row shows one class of one image by every method: in the gradient, red raises the class's score and blue lowers
    it, summed over the colour channels; the absolute gradient is the largest over them; Grad-CAM lies over the image
    in grey. Every map has its own colour bar, which ends at the 99.5th percentile of the map (Grad-CAM: at its
    maximum), so compare two rows by these numbers and not by brightness. Only the rows with classes side by side share
    a scale. Deconvnet, guided backprop and guided Grad-CAM hardly change when the last layers are randomised
    (Adebayo et al. 2018): they look sharp on any network, and no finding rests on them.

    Args:
        units: units to explain in addition to the classes, as layer:channel or layer:channel:y:x. Without a position,
            the most active one of each image.
        unit_images: how many of the explained images each unit is shown on, those with the highest activation first.
        cam_layer: the layer of Grad-CAM. auto takes the last maps before the classifier. If a rectifier follows the
            layer directly, its output is used.
        vanishing_warn: share of images with a vanishing gradient above which the audit warns.
        blind_warn: rank correlation of the maps of different classes above which the audit warns.
        confident: require the whole 95 % interval of the share of vanishing gradients to keep its limit.
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
