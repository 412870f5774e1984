// Draws each chart when it comes into view, in the colours of the page, and marks the chosen trial.
(() => {
  "use strict";
  const figures = [...document.querySelectorAll("figure.chart")];
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const NARROW_PX = 560;
  // Letters of an axis title in one line of a narrow chart.
  const NARROW_LETTERS = 36;
  const MARKED = "chosen trial";
  const { trial } = document.getElementById("details").dataset;
  // The trial that each drawn chart marks, and the charts that are in view.
  const marked = new Map();
  const inView = new Set();
  let chosen = trial === undefined ? null : Number(trial);

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  }

  function theme() {
    const [ink, soft, line, paper] = ["ink", "soft", "line", "paper"].map(colour);
    const axis = {
      gridcolor: line, zerolinecolor: line, linecolor: soft, tickcolor: soft, automargin: true,
      title: { font: { size: 13 }, standoff: 10 },
    };
    return {
      layout: {
        font: { family: "system-ui, sans-serif", size: 13, color: ink },
        paper_bgcolor: "rgba(0,0,0,0)",
        plot_bgcolor: "rgba(0,0,0,0)",
        colorway: ["best", "note", "good", "bad", "other", "soft"].map(colour),
        xaxis: axis,
        yaxis: axis,
        legend: { bgcolor: "rgba(0,0,0,0)" },
        hoverlabel: { bgcolor: paper, bordercolor: soft, font: { color: ink }, align: "left" },
        modebar: { bgcolor: "rgba(0,0,0,0)", color: soft, activecolor: ink },
        margin: { l: 56, r: 16, t: 32, b: 48 },
      },
    };
  }

  function plotOf(figure) {
    return figure.querySelector(".plot");
  }

  function isDrawn(figure) {
    return plotOf(figure).classList.contains("js-plotly-plot");
  }

  function layoutOf(figure, layout) {
    const isNarrow = figure.clientWidth < NARROW_PX;
    const made = { ...layout, template: theme(), autosize: true };
    delete made.width;
    made.height = layout.height || (isNarrow ? 360 : 440);
    if (isNarrow) {
      for (const key of Object.keys(made).filter((each) => /^[xy]axis/.test(each))) {
        const title = made[key].title;
        if (title && title.text) made[key] = { ...made[key], title: { ...title, text: folded(title.text) } };
      }
      made.margin = { ...layout.margin, l: 44, r: 8 };
    }
    return made;
  }

  function folded(text) {
    const lines = [""];
    for (const word of text.split(" ")) {
      if ((lines.at(-1) + word).length > NARROW_LETTERS) lines.push("");
      lines[lines.length - 1] += `${lines.at(-1) && " "}${word}`;
    }
    return lines.join("<br>");
  }

  function trialOf(customdata) {
    const first = Array.isArray(customdata) || ArrayBuffer.isView(customdata) ? customdata[0] : customdata;
    return Number.isInteger(first) ? first : null;
  }

  async function draw(figure) {
    if (figure.dataset.state) return;
    figure.dataset.state = "drawing";
    const spec = JSON.parse(document.getElementById(`data-${figure.dataset.chart}`).textContent);
    const plot = plotOf(figure);
    try {
      await Plotly.newPlot(plot, [...spec.data, ...emptyMarks(spec.data)], layoutOf(figure, spec.layout), {
        displaylogo: false,
        responsive: true,
        modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"],
        toImageButtonOptions: { filename: `${document.title.split(":")[0]}-${figure.dataset.chart}`, scale: 2 },
      });
    } catch (error) {
      figure.dataset.state = "failed";
      plot.textContent = `This browser cannot draw the chart: ${error.message}`;
      return;
    }
    figure.dataset.state = "drawn";
    plot.on("plotly_click", (event) => {
      const number = event.points.map((point) => trialOf(point.customdata)).find((each) => each !== null);
      if (number !== undefined) location.hash = `trial-${number}`;
    });
    marked.set(figure, null);
    if (inView.has(figure)) mark(figure);
  }

  // The y of a stacked trace is its own share, not the height at which it is drawn.
  function canMark(trace) {
    return (trace.type || "scatter") === "scatter" && trace.customdata && !trace.stackgroup;
  }

  function axesOf(trace) {
    return `${trace.xaxis || "x"} ${trace.yaxis || "y"}`;
  }

  // One trace for each pair of axes, on top of the others; empty until a trial is chosen.
  function emptyMarks(traces) {
    return [...new Set(traces.filter(canMark).map(axesOf))].map((axes) => {
      const [xaxis, yaxis] = axes.split(" ");
      return { type: "scatter", name: MARKED, x: [], y: [], xaxis, yaxis, showlegend: false, hoverinfo: "skip" };
    });
  }

  // Copies of the chosen trial's marks, with a gap after those of each trace.
  function marksOf(plot, axes) {
    const made = { x: [], y: [], size: [], mode: "markers" };
    for (const trace of plot._fullData) {
      if (trace.name === MARKED || trace.visible !== true || !canMark(trace) || axesOf(trace) !== axes) continue;
      const own = [...trace.customdata.keys()].filter((index) => trialOf(trace.customdata[index]) === chosen);
      if (!own.length) continue;
      if (own.length > 1 && trace.mode.includes("lines")) made.mode = "lines+markers";
      made.x.push(...own.map((index) => trace.x[index]), null);
      made.y.push(...own.map((index) => trace.y[index]), null);
      made.size.push(...Array(own.length + 1).fill(trace.mode.includes("markers") ? 11 : 5));
    }
    return made;
  }

  // With many trials drawing again takes long, so only charts in view are updated, and only once.
  function mark(figure) {
    if (figure.dataset.state !== "drawn") return;
    const plot = plotOf(figure);
    // On a wide page the open details make the charts narrower.
    if (Math.abs(plot.clientWidth - plot._fullLayout.width) > 1) Plotly.Plots.resize(plot);
    if (marked.get(figure) === chosen) return;
    marked.set(figure, chosen);
    const indices = [...plot.data.keys()].filter((index) => plot.data[index].name === MARKED);
    const marks = indices.map((index) => marksOf(plot, axesOf(plot.data[index])));
    if (!marks.some((each, number) => each.x.length || plot.data[indices[number]].x.length)) return;
    Plotly.restyle(plot, {
      x: marks.map((each) => each.x),
      y: marks.map((each) => each.y),
      mode: marks.map((each) => each.mode),
      "marker.size": marks.map((each) => each.size),
      "marker.color": colour("chosen"),
      "marker.opacity": 1,
      "marker.line.width": 0,
      "line.color": colour("chosen"),
      "line.width": 3,
    }, indices);
  }

  function repaint() {
    for (const figure of figures.filter(isDrawn)) {
      Plotly.relayout(plotOf(figure), { template: theme() });
      if (chosen !== null) marked.delete(figure);
    }
    inView.forEach(mark);
  }

  const soon = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) if (entry.isIntersecting) draw(entry.target);
    },
    { rootMargin: "400px" },
  );
  const seen = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) inView.delete(target);
      else {
        inView.add(target);
        mark(target);
      }
    }
  });
  figures.forEach((figure) => [soon, seen].forEach((each) => each.observe(figure)));
  document.addEventListener("trialchosen", (event) => {
    chosen = event.detail;
    // After the next frame, so that the details appear first.
    requestAnimationFrame(() => setTimeout(() => inView.forEach(mark)));
  });
  dark.addEventListener("change", repaint);
  // A print is on white paper and includes charts that were never in view.
  matchMedia("print").addEventListener("change", repaint);
  addEventListener("beforeprint", () => figures.forEach((figure) => draw(figure).then(() => mark(figure))));
})();
