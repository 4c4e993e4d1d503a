"use strict";
/* The page reads well without this: it only filters the summary and enlarges pictures. */
(() => {
  const filter = document.querySelector(".filter");
  const text = document.getElementById("filter-text");
  const chips = [...document.querySelectorAll(".chip")];
  const rows = [...document.querySelectorAll("table.summary tbody tr")];

  const apply = () => {
    const wanted = text.value.trim().toLowerCase();
    const off = new Set(chips.filter((c) => c.getAttribute("aria-pressed") === "false").map((c) => c.dataset.verdict));
    for (const row of rows) {
      row.hidden = off.has(row.dataset.verdict) || !row.textContent.toLowerCase().includes(wanted);
    }
  };
  if (filter && text) {
    filter.hidden = false;
    const there = new Set(rows.map((row) => row.dataset.verdict));
    for (const chip of chips) {
      chip.hidden = !there.has(chip.dataset.verdict);
      chip.addEventListener("click", () => {
        chip.setAttribute("aria-pressed", String(chip.getAttribute("aria-pressed") === "false"));
        apply();
      });
    }
    text.addEventListener("input", apply);
  }

  const viewer = document.querySelector(".viewer");
  const enlarge = (picture) => {
    const copy = picture.cloneNode(true);
    copy.removeAttribute("tabindex");
    copy.removeAttribute("role");
    viewer.querySelector(".viewer-picture").replaceChildren(copy);
    viewer.querySelector(".viewer-caption").textContent =
      picture.getAttribute("alt") || picture.getAttribute("aria-label") || "";
    viewer.showModal();
  };
  for (const picture of document.querySelectorAll(".plate .picture")) {
    picture.tabIndex = 0;
    picture.setAttribute("role", "button");
    picture.addEventListener("click", () => enlarge(picture));
    picture.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        enlarge(picture);
      }
    });
  }
  viewer.addEventListener("click", (event) => event.target === viewer && viewer.close());

  const open = () => {
    const target = location.hash && document.getElementById(location.hash.slice(1));
    const folded = target && target.querySelector("details.provenance");
    if (folded) folded.open = true;
  };
  addEventListener("hashchange", open);
  open();
})();
