// Draws the training curves: the library is unpacked when the first of them comes near the screen, or else when idle.
(() => {
  const curves = JSON.parse(document.getElementById("curves").textContent);
  const charts = [...document.querySelectorAll(".chart")];
  const drawn = new Set();
  let library = null;

  function unpack() {
    library ??= (async () => {
      const packed = Uint8Array.from(atob(document.getElementById("plotly").textContent), (c) => c.charCodeAt(0));
      const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
      const script = document.createElement("script");
      script.textContent = await new Response(stream).text();
      document.head.append(script);
    })();
    return library;
  }

  const chosenAxis = () => document.querySelector("input[name=axis]:checked").value;

  function xaxis(curve) {
    const kinds = {
      bytes: { title: "bytes of text seen", tickformat: "~s", ticksuffix: "B" },
      tokens: { title: "tokens seen", tickformat: "~s" },
      time: { title: curve.time_unit, tickformat: "~g" },
    };
    const { title, ...ticks } = kinds[chosenAxis()];
    return { title: { text: title, standoff: 8 }, ...ticks, nticks: 6, showgrid: false, zeroline: false, rangemode: "tozero", fixedrange: true };
  }

  async function draw(chart) {
    await unpack();
    const curve = curves[chart.dataset.curve];
    const series = curve[chart.dataset.part];
    const traces = series.map(({ label, stream, x, y }, n) => {
      chart.classList.add(`${stream}-${n + 1}`);
      const few = y.length <= 40;
      return { type: "scatter", mode: few ? "lines+markers" : "lines", name: label, x: x[chosenAxis()], y, line: { width: stream === "loss" ? 1.4 : 2.2, dash: stream === "replay" ? "5px,3px" : "solid" }, marker: { size: 6, symbol: stream === "replay" ? "square" : "circle" }, hovertemplate: "%{y:.3f}", cliponaxis: false };
    });
    const layout = {
      autosize: true, height: 290, margin: { l: 46, r: 14, t: 8, b: 44 }, showlegend: false, hovermode: "x unified",
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 12 },
      hoverlabel: { bgcolor: "#23282d", bordercolor: "#23282d", font: { color: "#ffffff" } },
      xaxis: xaxis(curve), yaxis: { nticks: 6, zeroline: false, fixedrange: true, tickformat: "~g" },
    };
    await Plotly.react(chart, traces, layout, { displayModeBar: false, responsive: true });
    drawn.add(chart);
    chart.style.setProperty("--aspect", `${chart.clientWidth} / ${chart.clientHeight}`);
    for (const svg of chart.querySelectorAll(".main-svg")) {
      svg.setAttribute("viewBox", `0 0 ${chart.clientWidth} ${chart.clientHeight}`);
    }
  }

  const drawMissing = () => charts.filter((chart) => !drawn.has(chart)).forEach(draw);
  const near = new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting)) {
      near.disconnect();
      drawMissing();
    }
  }, { rootMargin: "600px" });
  charts.forEach((chart) => near.observe(chart));
  // A page that is printed without being scrolled has its curves too.
  addEventListener("load", () => (window.requestIdleCallback ?? setTimeout)(drawMissing));
  document.querySelectorAll("input[name=axis]").forEach((input) => input.addEventListener("change", () => charts.forEach(draw)));
})();
