"use strict";
/* Filters the summary, sorts tables and enlarges pictures. The page works without it.
   All its texts come from the page, in the language of the page. */
(() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const filled = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
  const made = (name, properties) => Object.assign(document.createElement(name), properties);

  /* Light or dark: follows the system until the reader presses the button. */
  const scheme = () => {
    const button = document.getElementById("scheme");
    if (!button) return;
    const system = matchMedia("(prefers-color-scheme: dark)");
    button.hidden = false;
    button.addEventListener("click", () => {
      const now = document.documentElement.dataset;
      const dark = now.scheme ? now.scheme === "dark" : system.matches;
      now.scheme = dark ? "light" : "dark";
    });
  };

  /* Filters the summary by verdict and by text. */
  const filter = () => {
    const bar = document.querySelector(".filter");
    const text = document.getElementById("filter-text");
    const none = document.getElementById("filter-empty");
    const chips = all(".chip");
    const rows = all("table.summary tbody tr");
    if (!bar || !text || !none) return;

    const apply = () => {
      const wanted = text.value.trim().toLowerCase();
      const off = new Set(chips.filter((c) => c.getAttribute("aria-pressed") === "false").map((c) => c.dataset.verdict));
      for (const row of rows) {
        row.hidden = off.has(row.dataset.verdict) || !row.textContent.toLowerCase().includes(wanted);
      }
      none.textContent = rows.every((row) => row.hidden) ? none.dataset.none : "";
    };
    bar.hidden = false;
    const there = new Set(rows.map((row) => row.dataset.verdict));
    for (const chip of chips) {
      chip.hidden = !there.has(chip.dataset.verdict);
      chip.addEventListener("click", () => {
        chip.setAttribute("aria-pressed", String(chip.getAttribute("aria-pressed") === "false"));
        apply();
      });
    }
    text.addEventListener("input", apply);
    apply(); // after a reload the field may still contain text
  };

  /* Tables: the head of a column sorts ascending, then descending, then restores the first order. */
  const sortable = (table) => {
    const body = table.tBodies[0];
    const heads = [...table.tHead.rows[0].cells];
    const first = [...body.rows];
    if (first.length < 2) return;
    const words = new Intl.Collator(document.documentElement.lang, { numeric: true });

    const sort = (column, way) => {
      const keyed = first.map((row) => {
        const cell = row.cells[column];
        return { row, text: cell.textContent.trim(), number: cell.dataset.sort === undefined ? NaN : Number(cell.dataset.sort) };
      });
      const numeric = keyed.some((one) => !Number.isNaN(one.number));
      const missing = (one) => (numeric ? Number.isNaN(one.number) : !one.text);
      keyed.sort((a, b) => {
        if (missing(a) || missing(b)) return missing(a) - missing(b); // cells without a value stay last
        return way * (numeric ? a.number - b.number : words.compare(a.text, b.text));
      });
      body.replaceChildren(...(way ? keyed.map((one) => one.row) : first));
    };
    heads.forEach((head, column) => {
      const button = made("button", { type: "button", className: "sort" });
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const next = { ascending: "descending", descending: "" }[head.getAttribute("aria-sort")] ?? "ascending";
        for (const other of heads) other.removeAttribute("aria-sort");
        if (next) head.setAttribute("aria-sort", next);
        sort(column, { ascending: 1, descending: -1 }[next] || 0);
      });
    });
  };

  /* Pictures: each is a button; the viewer steps through the pictures of its row. */
  const enlarging = () => {
    const viewer = document.querySelector(".viewer");
    const [plate, bar, facts, overlay, caption] = ["picture", "bar", "facts", "overlay", "caption"].map((name) =>
      viewer.querySelector(`.viewer-${name}, #viewer-${name}`),
    );
    const [title, place, before, next, toggle, opacity, shown] = ["title", "place", "before", "next", "toggle", "opacity", "shown"].map(
      (name) => document.getElementById(`viewer-${name}`),
    );
    const words = viewer.dataset;
    let row = [];
    let index = 0;
    let above = null;

    const copy = (picture) => {
      const own = picture.cloneNode(true);
      if (own instanceof SVGElement) own.setAttribute("role", "img");
      return own;
    };
    const photograph = (item) => {
      let one = item;
      while (one && one.dataset.role !== "photo") one = one.previousElementSibling;
      return one && one.querySelector(".picture");
    };
    const cover = () => {
      const hidden = toggle.getAttribute("aria-pressed") === "true";
      if (above) above.style.opacity = hidden ? 0 : opacity.value / 100;
      shown.textContent = filled(words.percent, { number: hidden ? 0 : opacity.value });
      opacity.disabled = hidden;
    };
    const show = () => {
      const picture = row[index];
      const item = picture.closest("li");
      const block = picture.closest(".block");
      const label = item && item.querySelector(".label");
      const heading = block.querySelector(".block-title").textContent.trim();
      title.textContent = (label && label.textContent.trim()) || heading || words.picture;
      above = copy(picture);
      const below = item && item.dataset.role === "overlay" && photograph(item);
      const under = below ? copy(below) : null;
      if (under) {
        for (const name of ["alt", "aria-label"]) if (under.hasAttribute(name)) under.setAttribute(name, "");
        under.setAttribute("aria-hidden", "true");
      }
      plate.replaceChildren(...[under, above].filter(Boolean));
      overlay.hidden = !under;
      cover();
      const scale = (item && item.querySelector(".small-bar")) || block.querySelector(".bar");
      bar.replaceChildren(...(scale ? [scale.cloneNode(true)] : []));
      const named = item ? [...["value", "file", "class"].map((name) => [words[name], item.dataset[name]]), [words.in, heading]] : [];
      facts.replaceChildren(
        ...named
          .filter(([, value]) => value)
          .map(([name, value]) => {
            const fact = made("div", { className: "fact" });
            fact.append(made("dt", { textContent: name }), made("dd", { textContent: value }));
            return fact;
          }),
      );
      caption.textContent = picture.getAttribute("alt") || picture.getAttribute("aria-label") || "";
      place.textContent = row.length > 1 ? filled(words.place, { place: index + 1, count: row.length }) : "";
      before.disabled = index === 0;
      next.disabled = index === row.length - 1;
      before.hidden = next.hidden = row.length < 2;
    };
    const step = (by) => {
      if (!row[index + by]) return;
      index += by;
      show();
      const end = by < 0 ? before : next;
      if (end.disabled && document.activeElement === document.body) (by < 0 ? next : before).focus();
    };
    const open = (picture) => {
      row = all(".plate .picture", picture.closest(".block"));
      index = row.indexOf(picture);
      toggle.setAttribute("aria-pressed", "false");
      opacity.value = 100;
      show();
      viewer.showModal(); // Esc closes it and returns the focus to the picture
      viewer.scrollTop = 0;
    };

    for (const picture of all(".plate .picture")) {
      const button = made("button", { type: "button", className: "enlarge" });
      button.setAttribute("aria-haspopup", "dialog");
      picture.replaceWith(button);
      button.append(picture);
      button.addEventListener("click", () => {
        button.focus(); // Safari does not focus it by itself
        open(picture);
      });
    }
    before.addEventListener("click", () => step(-1));
    next.addEventListener("click", () => step(1));
    toggle.addEventListener("click", () => {
      toggle.setAttribute("aria-pressed", String(toggle.getAttribute("aria-pressed") === "false"));
      cover();
    });
    opacity.addEventListener("input", cover);
    viewer.querySelector(".close").addEventListener("click", () => viewer.close());
    viewer.addEventListener("click", (event) => event.target === viewer && viewer.close());
    viewer.addEventListener("keydown", (event) => {
      if (event.target === opacity || event.altKey || event.ctrlKey || event.metaKey) return;
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (by) {
        event.preventDefault();
        step(by);
      }
    });
  };

  /* A link to folded content unfolds it, in browsers that do not do so by themselves. */
  const unfold = () => {
    let one = location.hash && document.getElementById(location.hash.slice(1));
    if (!one) return;
    const target = one;
    const folded = one.querySelector(":scope > details.provenance");
    if (folded) folded.open = true;
    for (; one; one = one.parentElement) if (one instanceof HTMLDetailsElement) one.open = true;
    target.scrollIntoView();
  };

  scheme();
  filter();
  all("table.sortable").forEach(sortable);
  enlarging();
  addEventListener("hashchange", unfold);
  unfold();
})();
