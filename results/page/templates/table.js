// Sorts and filters the trials table, and opens a trial from its row.
(() => {
  "use strict";
  const table = document.querySelector("#trials table");
  if (!table) return;
  const body = table.tBodies[0];
  const rows = [...body.rows];
  // The teacher is not a trial: its row stays on top in every order and for every filter.
  const pinned = rows.filter((row) => !row.dataset.trial);
  const trials = rows.filter((row) => row.dataset.trial);
  const texts = new Map(trials.map((row) => [row, row.textContent.toLowerCase()]));
  const headings = [...table.tHead.rows[0].cells];
  const tools = document.getElementById("tools");
  const words = document.getElementById("words");
  const state = document.getElementById("state");
  const count = document.getElementById("count");
  // The first number of a cell; a cell may have an interval after its value.
  const NUMBER = /[-+]?(\d[\d,]*\.?\d*|\.\d+)(e[-+]?\d+)?/i;
  const collator = new Intl.Collator("en", { numeric: true });

  function valueOf(row, column, isNumber) {
    const text = row.cells[column].textContent.trim();
    if (text === "" || text === "-") return null;
    if (!isNumber) return text;
    const found = NUMBER.exec(text);
    return found ? Number(found[0].replaceAll(",", "")) : null;
  }

  function sortBy(column, direction) {
    const isNumber = headings[column].classList.contains("number");
    const keys = new Map(trials.map((row) => [row, valueOf(row, column, isNumber)]));
    trials.sort((one, other) => {
      const [a, b] = [keys.get(one), keys.get(other)];
      if (a === null || b === null) return (a === null) - (b === null); // missing values last, in both directions
      return direction * (isNumber ? a - b : collator.compare(a, b));
    });
    headings.forEach((heading, index) => {
      if (index !== column) heading.removeAttribute("aria-sort");
      else heading.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
    });
    body.append(...pinned, ...trials);
  }

  function filter() {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of trials) {
      const fits =
        (state.value === "" || row.dataset.state === state.value) &&
        wanted.every((word) => texts.get(row).includes(word));
      row.hidden = !fits;
      shown += fits;
    }
    const all = trials.length.toLocaleString("en");
    count.textContent =
      shown === trials.length ? `${all} rows` : `${shown.toLocaleString("en")} of ${all} rows`;
  }

  headings.forEach((heading, column) => {
    heading.querySelector("button").addEventListener("click", () => {
      const isUp = heading.getAttribute("aria-sort") === "ascending";
      sortBy(column, isUp ? -1 : 1);
    });
  });
  for (const name of new Set(trials.map((row) => row.dataset.state))) {
    const option = document.createElement("option");
    option.value = name;
    option.textContent = name === "running" ? "unfinished" : name.replaceAll("_", " ");
    state.append(option);
  }
  words.addEventListener("input", filter);
  state.addEventListener("change", filter);
  body.addEventListener("click", (event) => {
    const row = event.target.closest("tr[data-trial]");
    // A click that ends a selection of text must not open the trial.
    if (!row || event.target.closest("a") || String(getSelection())) return;
    location.hash = `trial-${row.dataset.trial}`;
  });
  document.addEventListener("trialchosen", (event) => {
    for (const row of trials) {
      row.classList.toggle("chosen", Number(row.dataset.trial) === event.detail);
    }
  });
  filter();
  tools.hidden = false;
})();
