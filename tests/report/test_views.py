"""Everything about one image, or one channel, stands together, whichever checks it comes from."""

import pytest

from auditor.report.album import Album
from auditor.report.blocks import PRINT, SCREEN
from auditor.report.page import Page, page_of
from auditor.report.views import Views
from auditor.results import Figure, Gallery, Item, Result
from tests.report.sample_audits import answered, audit, explained, full, noise, photo


def page(given, medium=SCREEN) -> Page:
    return page_of(given, medium, Album())


def test_an_image_has_all_that_any_check_shows_of_it():
    image = page(full()).views.images[0]
    assert image.title == "cup/0.png"
    assert [part.source.text for part in image.parts] == ["saliency", "activations"]
    assert [item.label for item in image.parts[1].block.items] == ["cup/0.png", "channel 3"]
    assert [finding.rule for finding in image.findings] == ["saliency.vanishing"]


def test_an_image_names_its_true_and_its_predicted_class():
    first, second = page(full()).views.images
    assert first.told == "cup, predicted cat (75.0\N{NO-BREAK SPACE}%)"
    assert second.told == "cat, correctly classified (75.0\N{NO-BREAK SPACE}%)"
    assert {fact.name: fact.value for fact in first.facts} == {
        "True class": "cup",
        "Predicted class": "cat",
        "Confidence": "75.0\N{NO-BREAK SPACE}%",
    }


def test_an_image_of_which_nothing_was_recorded_is_shown_all_the_same():
    image = page(audit(*explained())).views.images[0]
    assert (image.told, image.facts) == ("", ())
    assert image.parts


def test_a_picture_that_was_shown_already_is_no_part_of_its_own():
    again = Gallery("Most confident mistakes", "", (Item(noise(0), "wrong", file="cup/0.png"),))
    image = page(audit(*explained(), Result("predictions", "?", (again,)))).views.images[0]
    assert "predictions" not in [part.source.text for part in image.parts]


def test_a_channel_has_its_own_and_what_figures_show_of_its_layer():
    (channel,) = page(full()).views.channels
    assert channel.title == "conv1, channel 3"
    assert channel.told == "the median"
    assert [part.source.text for part in channel.parts] == ["patches", "filters"]


def test_a_class_leads_to_its_images_and_to_what_was_made_of_it():
    classes = {entry.title: [link.text for link in entry.links] for entry in page(full()).views.classes}
    assert classes == {"cat": ["synthesis: cat: explained", "cup/0.png", "cat/1.png"], "cup": ["cup/0.png"]}


def test_a_layer_leads_to_its_rows_and_channels():
    (layer,) = page(full()).views.layers
    assert layer.title == "conv1"
    assert [link.text for link in layer.links] == [
        "activations: Layer conv1",
        "filters: conv1: 64 filters",
        "channel 3",
    ]


def test_pictures_of_a_view_are_stored_once():
    shown = page(full())
    own = {item.picture.id for part in shown.views.images[0].parts for item in part.block.items}
    assert own <= set(shown.repeated)


def test_paper_has_no_views_and_stores_nothing_twice_for_them():
    shown = page(full(), PRINT)
    assert shown.views == Views()


def test_evidence_that_is_about_nothing_makes_no_view():
    figure, gallery = Figure("f", "", photo()), Gallery("g", "", (Item(photo(), "x", file="a.png"),))
    assert page(audit(Result("c", "?", (figure, gallery)))).views == Views()


@pytest.mark.parametrize("about", [{"image": ""}, {"channel": "3"}, {"something": "else"}])
def test_what_it_is_about_may_be_anything(about):
    gallery = Gallery("g", "", (Item(photo(), "x"),), about=about)
    views = page(audit(Result("c", "?", (gallery,)))).views
    assert (views.images, views.channels) == ((), ())


def test_an_enlarged_picture_knows_its_file_where_the_page_does_not_repeat_it():
    row = page(audit(*explained(), recorded=answered())).sections[0].blocks[0]
    assert [item.origin for item in row.items] == ["cup/0.png"] * 3
    assert row.items[1].role == "overlay"
    assert row.items[2].classes == "cup, predicted cat (75.0\N{NO-BREAK SPACE}%)"
