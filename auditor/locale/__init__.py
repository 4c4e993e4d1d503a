"""The message catalogues of the languages of a report, and the tool that updates them."""
