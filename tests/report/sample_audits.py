"""Audits made by hand, for the tests of every report format."""

from functools import cache

import numpy as np
from skimage import data, transform

from auditor import pictures
from auditor.results import (
    Answer,
    ArchitectureFacts,
    Audit,
    CheckpointFacts,
    DataFacts,
    FieldFacts,
    Figure,
    Finding,
    Gallery,
    Item,
    LayerFacts,
    Limit,
    Provenance,
    Recorded,
    Result,
    RuleFacts,
    Table,
    Verdict,
)

HOSTILE = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "</style><img src=x onerror=alert(1)>",
    "<!-- ",
    "--> <b>",
    "]]>",
    "<![CDATA[",
    "\"'><svg onload=alert(1)>",
    "' onmouseover='alert(1)",
    '" style="color:red',
    "javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "{{ 7 * 7 }}",
    "{% raw %}",
    "${7*7} #{7*7}",
    "$\\frac{1}{",
    "&lt;b&gt; &amp; &#x3c;",
    "../../etc/passwd",
    "..\\..\\windows",
    "/absolute/path",
    "C:\\con\\nul",
    "file:///etc/passwd",
    "http://example.org/x.png",
    "url(http://example.org/x.css)",
    "red;} body{display:none",
    "\x00\x01\x08\x0b\x1b[31m",
    "\x7f\x85\x9f",
    "\ud800 half a pair \udfff",
    "\ufffe\uffff",
    "\u202eevil\u202c",
    "\u2066isolated",
    "zero\u200bwidth\u00adsoft",
    "猫 кот 고양이 قطة",
    "😀🏽‍🚀",
    "line\nbreak\r\nand\ttab",
    "\u2028 and \u2029",
    "x" * 3000,
    " " * 40,
    "",
    "-",
    "--",
    ".",
    "%s %(name)s %00",
    "`rm -rf`; $(id)",
    "NaN",
    "null",
    "=1+1",
    "@import 'x'",
    "&nbsp;",
    "<b",
    "a\u0301\u0301\u0301\u0301\u0301",
    "CON",
    "</title><script>alert(1)</script>",
    "</details></section></main>",
    "<template><script>alert(1)</script></template>",
    "<meta http-equiv=refresh content='0;url=http://example.org'>",
    "<base href=http://example.org>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<a href=javascript:alert(1)>x</a>",
    "<math><mi xlink:href='data:x,<script>alert(1)</script>'>",
    "'-alert(1)-'",
    "#image-1",
    "__proto__",
    "constructor",
]


_ABOUT = ("image", "class", "layer", "channel")


@cache
def photo(size: int = 64) -> bytes:
    return pictures.photo((transform.resize(data.coffee(), (size, size)) * 255).astype(np.uint8))


@cache
def heat() -> bytes:
    return pictures.heat(np.linspace(0, 1, 49).reshape(7, 7), low=0, high=1)


def facts(**changes) -> Provenance:
    field = FieldFacts((11, 11), (4, 4), (-3, -3))
    return Provenance(
        CheckpointFacts("net.pt", "ab" * 32, 44_700_000, format="state dict"),
        ArchitectureFacts(
            "resnet18", "torchvision", 11_689_512, (LayerFacts("conv1", "Conv2d", (64, 9, 9), 9408, field),)
        ),
        DataFacts(40, ("cat", "cup"), (("bad.jpg", "truncated"),), "cd" * 32, "photographs", True),
        **{
            "preprocess": {"resize": 256, "mean": [0.5, 0.5, 0.5]},
            "settings": {"samples": 8},
            "versions": {"auditor": "0.1.0"},
            "started": "2026-01-02T03:04:05+00:00",
            **changes,
        },
    )


def audit(*results: Result, **changes) -> Audit:
    return Audit(facts(), results or (predictions(), maps()), **changes)


def predictions(verdict: Verdict = Verdict.FAIL) -> Result:
    found = Finding(
        "predictions.accuracy",
        verdict,
        "Right on 40 % of 40 images.",
        "cat",
        0.4,
        0.5,
        "",
        40,
        (0.26, 0.55),
        "Train longer.",
    )
    table = Table(
        "Per class", "One row a class.", ("Class", "Images", "Accuracy"), (("cat", 20, 0.5), ("cup", 20, None))
    )
    return Result("predictions", "Is it right?", (found, table), 1.5, "Read the accuracy first.", "Guo 2017")


def maps() -> Result:
    items = (Item(photo(), "the image", None, "cat.png"), Item(heat(), "channel 3", 0.75))
    figure = Figure("A map", "Bright is strong.", heat(), "a map", pictures.heat_scale(0, 1, "activation"))
    return Result(
        "maps", "Where does it look?", (figure, Gallery("Row", "One scale.", items, pictures.heat_scale(0, 1))), 0.5
    )


def explained(images: int = 2) -> tuple[Result, ...]:
    """Return results that are about images, classes, layers and channels."""
    names = [f"{'cat' if i % 2 else 'cup'}/{i}.png" for i in range(images)]
    rows, layer = [], []
    for i, name in enumerate(names):
        own, over = noise(i), pictures.overlay_item(pixels(i), np.eye(7) * i, "Grad-CAM", name, file=name)
        layer += [Item(own, name, file=name, role="photo"), Item(noise(100 + i), "channel 3", i + 0.5, name)]
        shown = (Item(own, "image of cat", file=name, role="photo"), over, Item(noise(200 + i), "gradient", 0.25))
        rows.append(Gallery(f"{name}: cat (answer)", "Red raises it.", shown, about={"image": name, "class": "cat"}))
    channel = {"layer": "conv1", "channel": "3"}
    patches = Gallery("conv1, channel 3: the median", "Sees 7 pixels.", (Item(noise(300), "cup", 2.5),), about=channel)
    filters = Figure("conv1: 64 filters", "In colour.", noise(301), "64 filters", about={"layer": "conv1"})
    made = Gallery("cat: explained", "Made.", (Item(noise(302), "natural"),), about={"class": "cat"})
    dark = Finding("saliency.vanishing", Verdict.WARN, "The gradient vanishes", names[0], 0.5, 0.1)
    return (
        Result("saliency", "Which pixels?", (*rows, dark), 0.2),
        Result(
            "activations",
            "What do layers show?",
            (Gallery("Layer conv1", "Maps.", tuple(layer), about={"layer": "conv1"}),),
        ),
        Result("patches", "Which patches?", (patches,)),
        Result("filters", "What do the filters look for?", (filters,)),
        Result("synthesis", "What is a cat?", (made,)),
    )


def answered(images: int = 2) -> Recorded:
    """Return the answers to the images of `explained`: the first is wrong."""
    names = [f"{'cat' if i % 2 else 'cup'}/{i}.png" for i in range(images)]
    return Recorded(
        tuple(Answer(name, "00", 1 - i % 2, 0 if i % 2 or not i else 1, 0.75) for i, name in enumerate(names))
    )


def full(images: int = 2) -> Audit:
    """Return an audit with something of everything."""
    return audit(predictions(), maps(), *explained(images), recorded=answered(images))


def pixels(seed: int, size: int = 96) -> np.ndarray:
    """Return a photograph that no other seed has."""
    shift = np.roll((transform.resize(data.coffee(), (size, size)) * 255).astype(np.uint8), seed % size, axis=1)
    return shift // 2 + np.random.default_rng(seed).integers(0, 60, (size, size, 1), dtype=np.uint8)


@cache
def noise(seed: int, size: int = 96) -> bytes:
    return pictures.photo(pixels(seed, size))


def hostile(text: str) -> Audit:
    """Return an audit in which a text stands wherever one may."""
    found = Finding(text, Verdict.WARN, text, text, 0.1, 0.2, text, 3, (0.0, 0.2), text)
    evidence = (
        found,
        Figure(text, text, photo(), text, pictures.heat_scale(0, 1, text), {"layer": text}),
        Gallery(text, text, (Item(photo(), text, 0.5, text, text, role=text),), pictures.heat_scale(0, 1, text)),
        Gallery(text, text, (Item(photo(), text, 0.5, text),), about=dict.fromkeys(_ABOUT, text)),
        Gallery(text, text, (Item(photo(), text, 0.5, text),), about={"class": text, text: text}),
        Table(text, text, (text,), ((text,),)),
    )
    rule = RuleFacts(text, text, text, text, text, (Limit(text, 0.1, text),), text, text, text, text, text)
    return Audit(
        Provenance(
            CheckpointFacts(text, text, 1, text),
            ArchitectureFacts(text, text, 1, (LayerFacts(text, text, (1,)),)),
            DataFacts(1, (text,), ((text, text),), text, text),
            preprocess={text: text},
            device=text,
            settings={text: [text]},
            versions={text: text},
            started=text,
            notes=(text,),
        ),
        (Result(text, text, evidence, 0.1, text, text, {text: rule}),),
        not_run=(text,),
        recorded=Recorded((Answer(text, text, 0, 0, 0.5),), {text: (1,)}),
    )
