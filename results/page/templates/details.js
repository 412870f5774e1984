// Details of one trial. The address names it (#trial-7), so that links and the Back button work.
(() => {
  "use strict";
  const dialog = document.getElementById("details");
  const SVG = "http://www.w3.org/2000/svg";
  // Invisible characters; in YAML text they become escapes.
  const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;
  // Text that YAML reads as text without quotes.
  const PLAIN = /^[A-Za-z_][\w.\/+-]*( [\w.\/+-]+)*$/;
  // Words that YAML 1.1 would read as a boolean or null.
  const RESERVED = /^(true|false|null|yes|no|on|off|y|n|~)$/i;
  let cache = null;
  // The element that gets the focus back when the details close.
  let focusBefore = null;

  function data() {
    // Parsed when first needed, since it is large for many trials.
    if (!cache) {
      const all = JSON.parse(document.getElementById("data").textContent);
      cache = { ...all, byNumber: new Map(all.trials.map((each) => [each.trial, each])) };
    }
    return cache;
  }

  function make(name, parent, text, style) {
    const element = document.createElement(name);
    if (text !== undefined) element.textContent = text;
    if (style) element.className = style;
    parent.append(element);
    return element;
  }

  function draw(name, parent, attributes) {
    const element = document.createElementNS(SVG, name);
    for (const key in attributes) element.setAttribute(key, attributes[key]);
    parent.append(element);
    return element;
  }

  function merged(one, other) {
    const both = { ...one };
    for (const key of Object.keys(other)) {
      const isNested = (each) => each && typeof each === "object" && !Array.isArray(each);
      both[key] =
        Object.hasOwn(one, key) && isNested(one[key]) && isNested(other[key])
          ? merged(one[key], other[key])
          : other[key];
    }
    return both;
  }

  function scalar(value) {
    if (typeof value !== "string") return JSON.stringify(value);
    if (PLAIN.test(value) && !RESERVED.test(value)) return value;
    const escaped = (char) =>
      [...char].map((each) => {
        const code = each.codePointAt(0).toString(16);
        return code.length > 4 ? `\\U${code.padStart(8, "0")}` : `\\u${code.padStart(4, "0")}`;
      }).join("");
    return JSON.stringify(value).replace(HIDDEN, escaped);
  }

  function yaml(value, indent = "") {
    return Object.keys(value).map((key) => {
      const each = value[key];
      const isNested = each && typeof each === "object";
      if (isNested && !Array.isArray(each) && Object.keys(each).length) {
        return `${indent}${scalar(key)}:\n${yaml(each, `${indent}  `)}`;
      }
      return `${indent}${scalar(key)}: ${isNested ? JSON.stringify(each) : scalar(each)}\n`;
    }).join("");
  }

  function facts(pairs, parent) {
    const list = make("dl", parent);
    for (const [name, text] of pairs) {
      const line = make("div", list);
      make("dt", line, data().names[name]);
      make("dd", line, text);
    }
  }

  function curve(trial, parent) {
    const { epochs, veer_pct: veers } = trial;
    if (!epochs.length) return;
    const [low, high] = [Math.min(...veers), Math.max(...veers)];
    const first = epochs[0];
    const last = Math.max(epochs.at(-1), first + 1);
    const x = (epoch) => (300 * (epoch - first)) / (last - first);
    const y = (veer) => (high === low ? 40 : 80 - (80 * (veer - low)) / (high - low));
    const figure = make("figure", parent, undefined, "curve");
    const svg = draw("svg", figure, { viewBox: "-6 -6 312 92", role: "img" });
    const steps = epochs.map((epoch, index) => {
      // An epoch without a VEER leaves a gap in the curve.
      const isNext = index && epochs[index - 1] === epoch - 1;
      return `${isNext ? "L" : "M"}${x(epoch).toFixed(1)} ${y(veers[index]).toFixed(1)}`;
    });
    draw("path", svg, { d: steps.join("") });
    const best = veers.indexOf(low);
    draw("circle", svg, { cx: x(epochs[best]), cy: y(low), r: 4 });
    const text =
      `VEER by epoch, ${first} to ${epochs.at(-1)}: highest ${high.toFixed(2)} %, ` +
      `lowest ${low.toFixed(2)} % after epoch ${epochs[best]}`;
    svg.setAttribute("aria-label", text);
    make("figcaption", figure, text);
  }

  function command(purpose, text, parent) {
    make("p", parent, purpose);
    const box = make("div", parent, undefined, "command");
    make("code", make("pre", box), text);
    make("button", box, "Copy", "copy").type = "button";
  }

  function commands(trial, parent) {
    const { show, export: out, train } = data().commands;
    const [number, flag] = [trial.trial, trial.flag];
    command("Numbers of every epoch:", show[0] + number + show[1], parent);
    if (!trial.can_export) return;
    command("Export config, weights and model card:", out[0] + number + flag + out[1], parent);
    const folder = String(number).padStart(4, "0");
    command("Then train it in full:", train[0] + folder + train[1] + flag, parent);
  }

  function fill(trial) {
    document.getElementById("details-title").textContent = `Trial ${trial.trial}`;
    const content = document.getElementById("details-content");
    content.replaceChildren();
    facts(trial.facts, content);
    curve(trial, content);
    make("h3", content, "Sampled values");
    facts(trial.sampled, content);
    make("h3", content, "Commands");
    commands(trial, content);
    make("h3", content, "Config");
    const text = yaml(merged(data().common, trial.config));
    make("pre", content, text, "config").tabIndex = 0;
    content.parentElement.scrollTop = 0;
  }

  function chosen() {
    const found = /^#trial-(\d+)$/.exec(location.hash);
    return found ? data().byNumber.get(Number(found[1])) : undefined;
  }

  function follow() {
    const trial = chosen();
    if (trial) {
      fill(trial);
      if (!dialog.open) {
        focusBefore = document.activeElement;
        dialog.show();
      }
      document.getElementById("close").focus({ preventScroll: true });
    } else if (dialog.open) {
      dialog.close();
      if (focusBefore && focusBefore.isConnected) focusBefore.focus({ preventScroll: true });
    }
    const detail = trial ? trial.trial : null;
    // For charts.js, which starts after this script has opened the trial of the address.
    if (trial) dialog.dataset.trial = detail;
    else delete dialog.dataset.trial;
    document.dispatchEvent(new CustomEvent("trialchosen", { detail }));
  }

  function close() {
    if (!dialog.open) return;
    history.pushState(null, "", location.pathname + location.search);
    follow();
  }

  async function copy(button) {
    const code = button.parentElement.querySelector("code");
    let isDone = false;
    try {
      await navigator.clipboard.writeText(code.textContent);
      isDone = true;
    } catch {
      // No permission, or an old browser: selected text can still be copied.
      getSelection().selectAllChildren(code);
      isDone = document.execCommand("copy");
    }
    button.textContent = isDone ? "Copied" : "Press Ctrl+C";
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  }

  document.addEventListener("click", (event) => {
    if (event.target.matches("button.copy")) copy(event.target);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close();
  });
  document.getElementById("close").addEventListener("click", close);
  addEventListener("hashchange", follow);
  addEventListener("popstate", follow);
  if (location.hash) follow();
})();
